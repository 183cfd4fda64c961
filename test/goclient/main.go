// Checks of a server through etcd's own Go client: typed errors, watches and sessions that live through restarts, and
// the recipes built on them. Usage: goclient HOST:PORT; it asks for a restart of the server with the line RESTART and
// waits for a line on its standard input. One line per check; exit code 1 when one failed.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/grpclog"
)

type check struct {
	name string
	run  func(t *test)
}

// test is one check: what it needs, and how it fails.
type test struct {
	endpoint string
	client   *clientv3.Client
	ctx      context.Context
	restart  func()
}

type failure string

func (t *test) fail(format string, args ...interface{}) {
	panic(failure(fmt.Sprintf(format, args...)))
}

func (t *test) ok(err error, what string) {
	if err != nil {
		t.fail("%s: %v", what, err)
	}
}

func (t *test) is(got, want error, what string) {
	if got != want {
		t.fail("%s: the error is %#v instead of %#v", what, got, want)
	}
}

func (t *test) equal(got, want interface{}, what string) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.fail("%s: %v instead of %v", what, got, want)
	}
}

func (t *test) put(key, value string, opts ...clientv3.OpOption) int64 {
	answer, err := t.client.Put(t.ctx, key, value, opts...)
	t.ok(err, "put "+key)
	return answer.Header.Revision
}

func (t *test) get(key string, opts ...clientv3.OpOption) *clientv3.GetResponse {
	answer, err := t.client.Get(t.ctx, key, opts...)
	t.ok(err, "get "+key)
	return answer
}

func (t *test) connect(user, password string) *clientv3.Client {
	client, err := connect(t.endpoint, user, password)
	t.ok(err, "connecting as "+user)
	return client
}

func connect(endpoint, user, password string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:            []string{endpoint},
		DialTimeout:          10 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 6 * time.Second,
		Username:             user,
		Password:             password,
		DialOptions:          []grpc.DialOption{grpc.WithBlock()},
	})
}

func one(c check, endpoint string, restart func()) (problem string) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	defer func() {
		if caught := recover(); caught != nil {
			if told, ok := caught.(failure); ok {
				problem = string(told)
			} else {
				problem = fmt.Sprintf("%v\n%s", caught, debug.Stack())
			}
		}
	}()
	client, err := connect(endpoint, "", "")
	if err != nil {
		return "connecting: " + err.Error()
	}
	defer client.Close()
	c.run(&test{endpoint: endpoint, client: client, ctx: ctx, restart: restart})
	return ""
}

func main() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(devNull{}, devNull{}, devNull{}))
	endpoint := os.Args[1]
	answers := bufio.NewScanner(os.Stdin)
	restart := func() {
		fmt.Println("RESTART")
		if !answers.Scan() {
			panic(failure("nobody restarts the server"))
		}
	}
	failed := 0
	groups := [][]check{kvChecks, watchChecks, leaseChecks, recipeChecks, maintenanceChecks, authChecks}
	for _, group := range groups {
		for _, c := range group {
			start := time.Now()
			if problem := one(c, endpoint, restart); problem != "" {
				failed++
				fmt.Printf("FAILED %s: %s\n", c.name, problem)
			} else {
				fmt.Printf("ok %s (%d ms)\n", c.name, time.Since(start).Milliseconds())
			}
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
	fmt.Println("DONE")
}

type devNull struct{}

func (devNull) Write(bytes []byte) (int, error) { return len(bytes), nil }
