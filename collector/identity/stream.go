package identity

import "context"

// reply is one message of a stream, or its end.
type reply[T any] struct {
	msg T
	err error
}

// received reads a gRPC stream into a channel, so that it can be waited for
// among others. The last value carries the stream's error. The reader ends with
// the stream or with ctx, which should be the stream's own.
func received[T any](ctx context.Context, recv func() (T, error)) <-chan reply[T] {
	ch := make(chan reply[T])
	go func() {
		for {
			m, err := recv()
			select {
			case ch <- reply[T]{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return ch
}
