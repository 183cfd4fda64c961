package main

import (
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
)

var watchChecks = []check{
	{"watch: prev_kv, filters, and a created message", watchOptions},
	{"watch: progress on request names the present revision", watchProgress},
	{"watch: a large transaction in fragments is one answer", watchFragments},
	{"watch: goes on behind two restarts, each event once", watchRestart},
}

func watchOptions(t *test) {
	t.put("w/a", "1")
	options := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify()}
	events := t.client.Watch(clientv3.WithRequireLeader(t.ctx), "w/", options...)
	t.equal((<-events).Created, true, "created")
	onlyDeletes := t.client.Watch(t.ctx, "w/", append(options, clientv3.WithFilterPut())...)
	t.equal((<-onlyDeletes).Created, true, "created")
	t.put("w/a", "2")
	_, err := t.client.Delete(t.ctx, "w/a")
	t.ok(err, "delete")
	seen := []string{}
	for len(seen) < 2 {
		for _, event := range (<-events).Events {
			seen = append(seen, fmt.Sprintf("%s %q was %q, modified %t", event.Type, event.Kv.Value, event.PrevKv.Value, event.IsModify()))
		}
	}
	t.equal(strings.Join(seen, "; "), `PUT "2" was "1", modified true; DELETE "" was "2", modified false`, "events")
	deletion := (<-onlyDeletes).Events
	t.equal(len(deletion), 1, "events that are deletions")
	t.equal(deletion[0].Type, "DELETE", "type")
}

func watchProgress(t *test) {
	events := t.client.Watch(t.ctx, "progress", clientv3.WithCreatedNotify())
	<-events
	revision := t.put("other", "1")
	for {
		t.ok(t.client.RequestProgress(t.ctx), "request")
		select {
		case answer := <-events:
			t.equal(answer.IsProgressNotify(), true, "progress")
			if answer.Header.Revision < revision {
				t.fail("progress is %d, the store is at %d", answer.Header.Revision, revision)
			}
			return
		case <-time.After(time.Second):
		}
	}
}

func watchFragments(t *test) {
	events := t.client.Watch(t.ctx, "f/", clientv3.WithPrefix(), clientv3.WithFragment(), clientv3.WithCreatedNotify())
	<-events
	value := strings.Repeat("x", 1000*1024)
	start := t.put("f/0", value)
	for i := 1; i < 5; i++ {
		t.put(fmt.Sprintf("f/%d", i), value)
	}
	for i := 0; i < 5; {
		for _, event := range (<-events).Events {
			t.equal(string(event.Kv.Key), fmt.Sprintf("f/%d", i), "key")
			t.equal(len(event.Kv.Value), len(value), "size")
			i++
		}
	}
	// All of history at once: more than one message holds.
	old := t.client.Watch(t.ctx, "f/", clientv3.WithPrefix(), clientv3.WithFragment(), clientv3.WithRev(start))
	seen := 0
	for seen < 5 {
		answer := <-old
		t.ok(answer.Err(), "watch")
		seen += len(answer.Events)
	}
	t.equal(seen, 5, "events from history")
}

func watchRestart(t *test) {
	const total = 300
	events := t.client.Watch(t.ctx, "r/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-events
	written := make(chan struct{})
	go func() {
		defer close(written)
		// A put whose answer was lost may have happened: the same again is a second event, which the check allows for.
		for i := 0; i < total; {
			if _, err := t.client.Put(t.ctx, fmt.Sprintf("r/%d", i), "x"); err == nil {
				i++
			} else if t.ctx.Err() != nil {
				return
			} else {
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	go func() {
		for i := 0; i < 2; i++ {
			time.Sleep(400 * time.Millisecond)
			t.restart()
		}
	}()
	next, last := 0, int64(0)
	for next < total {
		answer, ok := <-events
		if !ok {
			t.fail("the watch ended after %d keys", next)
		}
		t.ok(answer.Err(), "watch")
		for _, event := range answer.Events {
			if event.Kv.ModRevision <= last {
				t.fail("revision %d after %d", event.Kv.ModRevision, last)
			}
			last = event.Kv.ModRevision
			switch string(event.Kv.Key) {
			case fmt.Sprintf("r/%d", next):
				next++
			case fmt.Sprintf("r/%d", next-1):
			default:
				t.fail("%s came instead of r/%d", event.Kv.Key, next)
			}
		}
	}
	<-written
	history := t.client.Watch(t.ctx, "r/", clientv3.WithPrefix(), clientv3.WithRev(t.get("r/0").Kvs[0].CreateRevision))
	for seen := int64(0); seen < last; {
		for _, event := range (<-history).Events {
			seen = event.Kv.ModRevision
		}
	}
}
