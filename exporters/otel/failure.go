package otel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failure is an attempt to send that failed.
type failure struct {
	err   error
	retry bool          // the receiver may take it another time
	after time.Duration // how long it asked to wait; 0 where it did not
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// maxAfter bounds what a receiver may ask for.
const maxAfter = 5 * time.Minute

// grpcFailure says what an RPC's error means (OTLP, "OTLP/gRPC Throttling").
func grpcFailure(err error) *failure {
	s := status.Convert(err)
	f := &failure{err: errors.New(clean(s.Code().String() + ": " + s.Message()))}
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			f.after = min(max(r.GetRetryDelay().AsDuration(), 0), maxAfter)
		}
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		f.retry = true
	case codes.ResourceExhausted:
		f.retry = f.after > 0
	}
	return f
}

// httpFailure says what an answer other than 200 means (OTLP, "OTLP/HTTP Response").
func httpFailure(res *http.Response, said string, now time.Time) *failure {
	f := &failure{err: fmt.Errorf("status %s", clean(res.Status))}
	if said != "" {
		f.err = fmt.Errorf("status %s: %s", clean(res.Status), clean(said))
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.retry = true
		f.after = retryAfter(res.Header.Get("Retry-After"), now)
	}
	return f
}

// retryAfter reads RFC 9110 §10.2.3: seconds, or a date.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxAfter)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(now), 0), maxAfter)
	}
	return 0
}

// ofContext makes words of an attempt that took too long.
func ofContext(ctx context.Context, f *failure, timeout time.Duration) *failure {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &failure{err: fmt.Errorf("no answer within %s: %w", timeout, f.err), retry: true}
	}
	return f
}
