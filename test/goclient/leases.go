package main

import (
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

var leaseChecks = []check{
	{"lease: grant, time to live, list, revoke and their errors", leaseCalls},
	{"lease: keys go when nobody keeps it alive, all at one revision", leaseExpiry},
	{"lease: kept alive over its time and over a restart", leaseKeepAlive},
}

func (t *test) grant(seconds int64) clientv3.LeaseID {
	answer, err := t.client.Grant(t.ctx, seconds)
	t.ok(err, "grant")
	return answer.ID
}

func leaseCalls(t *test) {
	id := t.grant(100)
	t.put("l/a", "1", clientv3.WithLease(id))
	t.put("l/b", "1", clientv3.WithLease(id))
	left, err := t.client.TimeToLive(t.ctx, id, clientv3.WithAttachedKeys())
	t.ok(err, "time to live")
	t.equal([]interface{}{left.GrantedTTL, len(left.Keys), left.TTL > 60}, []interface{}{100, 2, true}, "time to live")
	all, err := t.client.Leases(t.ctx)
	t.ok(err, "leases")
	found := false
	for _, lease := range all.Leases {
		found = found || lease.ID == id
	}
	t.equal(found, true, "listed")
	once, err := t.client.KeepAliveOnce(t.ctx, id)
	t.ok(err, "keep alive")
	t.equal(once.TTL, 100, "TTL")
	_, err = t.client.Revoke(t.ctx, id)
	t.ok(err, "revoke")
	t.equal(t.get("l/", clientv3.WithPrefix()).Count, 0, "keys")
	_, err = t.client.Revoke(t.ctx, id)
	t.is(err, rpctypes.ErrLeaseNotFound, "revoke again")
	_, err = t.client.KeepAliveOnce(t.ctx, id)
	t.is(err, rpctypes.ErrLeaseNotFound, "keep alive of a dead lease")
	gone, err := t.client.TimeToLive(t.ctx, id)
	t.ok(err, "time to live")
	t.equal(gone.TTL, -1, "TTL of a dead lease")
	_, err = t.client.Grant(t.ctx, 9000000001)
	t.is(err, rpctypes.ErrLeaseTTLTooLarge, "285 years")
}

func leaseExpiry(t *test) {
	start := time.Now()
	id := t.grant(2)
	t.put("x/b", "1", clientv3.WithLease(id))
	last := t.put("x/a", "1", clientv3.WithLease(id))
	answer := <-t.client.Watch(t.ctx, "x/", clientv3.WithPrefix(), clientv3.WithRev(last+1), clientv3.WithPrevKV())
	took := time.Since(start)
	t.ok(answer.Err(), "watch")
	t.equal(len(answer.Events), 2, "events")
	for i, key := range []string{"x/a", "x/b"} {
		event := answer.Events[i]
		t.equal([]interface{}{event.Type, string(event.Kv.Key), event.Kv.ModRevision}, []interface{}{"DELETE", key, last + 1}, "event")
		t.equal(string(event.PrevKv.Value), "1", "prev_kv")
	}
	if took < 2*time.Second {
		t.fail("the keys were deleted after %s, the lease is for 2 s", took)
	}
}

func leaseKeepAlive(t *test) {
	// The client gives up when it has had no answer for the lease's time: a restart may take a while.
	id := t.grant(8)
	t.put("alive", "1", clientv3.WithLease(id))
	answers, err := t.client.KeepAlive(t.ctx, id)
	t.ok(err, "keep alive")
	until := time.After(13 * time.Second)
	restart := time.After(2 * time.Second)
	for going := true; going; {
		select {
		case answer, ok := <-answers:
			if !ok {
				t.fail("keep alive gave up")
			}
			t.equal(answer.TTL, 8, "TTL")
		case <-restart:
			t.restart()
		case <-until:
			going = false
		}
	}
	t.equal(t.get("alive").Count, 1, "the key")
	_, err = t.client.Revoke(t.ctx, id)
	t.ok(err, "revoke")
	for range answers {
	}
	t.equal(t.get("alive").Count, 0, "the key")
}
