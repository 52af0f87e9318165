package identity

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// maxMessage bounds one gRPC message: a list of some ten thousand containers.
const maxMessage = 64 << 20

// dialUnix prepares a gRPC connection to a unix socket; it is made on the first
// call.
func dialUnix(socket string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", socket, err)
	}
	return conn, nil
}

func isNotFound(err error) bool { return status.Code(err) == codes.NotFound }
