package hubble

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

// recordsPatience is how long a record waits at most for others to make a
// batch with.
const recordsPatience = 50 * time.Millisecond

// Records hands take what a sink of the daemon's collector would get: first the
// latest record of each living flow, then every new one. It blocks until ctx is
// done, and returns ctx's error, or until something fails; the server's orderly
// end is ErrDisconnected. The slice is the client's again when take returns.
// What the server lost on the way is in Lost.
func (c *Client) Records(ctx context.Context, take func([]flow.Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	records := make(chan flow.Record, batchSize)
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = c.decode(ctx, records)
		close(records)
	}()
	err := gather(records, take)
	cancel(err) // ends the reader, if take failed
	<-done
	if err != nil {
		return err
	}
	return failed
}

// decode reads the stream into records.
func (c *Client) decode(ctx context.Context, records chan<- flow.Record) error {
	d := convert.NewDecoder()
	req := &observerpb.GetFlowsRequest{Follow: true, Extensions: Want{Updates: true, Snapshot: true, Tallies: true}.Extensions()}
	err := c.Flows(ctx, req, func(res *observerpb.GetFlowsResponse) error {
		f := res.GetFlow()
		if f == nil {
			return nil
		}
		r, err := d.Record(f)
		switch {
		case errors.Is(err, convert.ErrNoExtensions):
			return fmt.Errorf("read records: %w", err)
		case err != nil: // one flow that cannot be read is no end
			c.countLost(flow.Loss{Stage: "client", Reason: "decode"}, 1)
			return nil
		}
		select {
		case records <- r:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err == nil {
		return fmt.Errorf("read records: %w", ErrDisconnected)
	}
	return err
}

// gather makes batches of what comes, without keeping a record for long.
func gather(records <-chan flow.Record, take func([]flow.Record) error) error {
	batch := make([]flow.Record, 0, batchSize)
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := take(batch)
		clear(batch)
		batch = batch[:0]
		return err
	}
	for {
		select {
		case r, ok := <-records:
			if !ok {
				return flush()
			}
			if len(batch) == 0 {
				timer.Reset(recordsPatience)
			}
			if batch = append(batch, r); len(batch) < cap(batch) {
				continue
			}
		case <-timer.C:
		}
		if err := flush(); err != nil {
			return err
		}
	}
}
