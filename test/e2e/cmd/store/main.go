// Command store runs an IAM server and an S3 server on this machine for the pods of a
// cluster, with one bucket that holds one object. It writes their endpoints and the keys
// of their root user to a file that a shell can source, and runs until it is interrupted.
//
//	store -host ADDRESS -bucket NAME -object NAME -env FILE
//	store -towards ADDRESS    prints the address from which this machine reaches another
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"apitoken.dev/operator/test/e2e/gateway"
)

type options struct {
	host, bucket, object, env string
	towards                   string
}

func main() {
	gateway.MaybeRunChild()
	var o options
	flag.StringVar(&o.host, "host", "127.0.0.1", "`address` to listen on; pods must be able to reach it")
	flag.StringVar(&o.bucket, "bucket", "datasets", "`name` of the bucket to create")
	flag.StringVar(&o.object, "object", "hello.txt", "`name` of the object to write into the bucket")
	flag.StringVar(&o.env, "env", "", "`file` to write the endpoints and the root user's keys to")
	flag.StringVar(&o.towards, "towards", "", "print the local address from which this machine reaches `address`, such as a node, and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, o options) error {
	if o.towards != "" {
		host, err := localAddress(o.towards)
		if err == nil {
			fmt.Println(host)
		}
		return err
	}
	if o.env == "" {
		return errors.New("-env is required: the file to write the endpoints and keys to")
	}
	dir, err := os.MkdirTemp("", "store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	servers, err := gateway.Start(ctx, dir, gateway.Options{Host: o.host})
	if err != nil {
		return err
	}
	err = fill(ctx, servers, o)
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, servers.Stop())
}

// fill creates the bucket and its object, and then writes the file. The file is complete
// when it appears.
func fill(ctx context.Context, servers *gateway.Gateway, o options) error {
	if err := servers.CreateBuckets(ctx, o.bucket); err != nil {
		return err
	}
	_, err := servers.S3(servers.Root()).PutObject(ctx, &s3.PutObjectInput{Bucket: &o.bucket, Key: &o.object, Body: strings.NewReader("hello\n")})
	if err != nil {
		return fmt.Errorf("putting %s: %w", o.object, err)
	}
	text := fmt.Sprintf("STORE_IAM=%s\nSTORE_S3=%s\nSTORE_REGION=%s\nSTORE_KEY_ID=%s\nSTORE_SECRET=%s\n",
		servers.IAMEndpoint, servers.S3Endpoint, gateway.Region, servers.RootAccessKey, servers.RootSecretKey)
	partial := o.env + ".partial"
	if err := os.WriteFile(partial, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(partial, o.env)
}

// localAddress returns the address from which this machine reaches another. Nothing is sent.
func localAddress(to string) (string, error) {
	conn, err := net.Dial("udp", net.JoinHostPort(to, "9"))
	if err != nil {
		return "", err
	}
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	return host, errors.Join(err, conn.Close())
}
