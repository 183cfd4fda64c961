package main

import (
	"strings"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/leasing"
	"go.etcd.io/etcd/clientv3/mirror"
	"go.etcd.io/etcd/clientv3/namespace"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

var kvChecks = []check{
	{"kv: sorted, limited and filtered ranges", sortedRanges},
	{"kv: transactions, nested ones too", transactions},
	{"kv: errors are the typed ones", typedErrors},
	{"kv: a compacted or future revision is a typed error", compactionErrors},
	{"namespace: keys, watches and transactions below a prefix", namespaces},
	{"leasing: a cache that the server's keys keep coherent", leasingCache},
	{"mirror: a copy of what is there, then of what comes", mirrored},
}

func values(answer *clientv3.GetResponse) string {
	all := []string{}
	for _, kv := range answer.Kvs {
		all = append(all, string(kv.Key)+"="+string(kv.Value))
	}
	return strings.Join(all, " ")
}

func sortedRanges(t *test) {
	for _, key := range []string{"s/b", "s/a", "s/c", "s/a"} {
		t.put(key, key+"!")
	}
	created := t.get("s/c").Kvs[0].CreateRevision
	descending := clientv3.WithSort(clientv3.SortByVersion, clientv3.SortDescend)
	t.equal(values(t.get("s/", clientv3.WithPrefix(), descending, clientv3.WithLimit(1))), "s/a=s/a!", "by version")
	t.equal(values(t.get("s/", clientv3.WithFirstCreate()...)), "s/b=s/b!", "first created")
	t.equal(values(t.get("s/", clientv3.WithLastRev()...)), "s/a=s/a!", "last changed")
	t.equal(values(t.get("s/", clientv3.WithLastKey()...)), "s/c=s/c!", "last key")
	t.equal(values(t.get("s/", clientv3.WithPrefix(), clientv3.WithMinCreateRev(created))), "s/c=s/c!", "min create")
	t.equal(values(t.get("s/", clientv3.WithPrefix(), clientv3.WithMaxModRev(created-2))), "s/b=s/b!", "max mod")
	page := t.get("s/", clientv3.WithPrefix(), clientv3.WithLimit(2), clientv3.WithKeysOnly())
	t.equal([]interface{}{len(page.Kvs), page.More, page.Count, len(page.Kvs[0].Value)}, []interface{}{2, true, 3, 0}, "page")
	t.equal(t.get("s/", clientv3.WithPrefix(), clientv3.WithCountOnly()).Count, 3, "count")
	t.equal(values(t.get("s/b", clientv3.WithFromKey(), clientv3.WithLimit(1))), "s/b=s/b!", "from key")
}

func transactions(t *test) {
	t.put("t/a", "1")
	inner := clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.Version("t/none"), "=", 0)},
		[]clientv3.Op{clientv3.OpPut("t/b", "inner"), clientv3.OpGet("t/b")},
		[]clientv3.Op{clientv3.OpPut("t/b", "wrong")},
	)
	answer, err := t.client.Txn(t.ctx).
		If(clientv3.Compare(clientv3.Value("t/a"), "=", "1"), clientv3.Compare(clientv3.Version("t/").WithPrefix(), ">", 0)).
		Then(clientv3.OpPut("t/a", "2", clientv3.WithPrevKV()), inner, clientv3.OpDelete("t/none")).
		Else(clientv3.OpGet("t/a")).
		Commit()
	t.ok(err, "txn")
	t.equal(answer.Succeeded, true, "outcome")
	t.equal(string(answer.Responses[0].GetResponsePut().PrevKv.Value), "1", "prev_kv")
	nested := answer.Responses[1].GetResponseTxn()
	t.equal(nested.Succeeded, true, "nested outcome")
	t.equal(string(nested.Responses[1].GetResponseRange().Kvs[0].Value), "inner", "nested get")
	t.equal(answer.Responses[2].GetResponseDeleteRange().Deleted, 0, "deleted")
	t.equal(t.get("t/b").Kvs[0].ModRevision, answer.Header.Revision, "one revision")
}

func typedErrors(t *test) {
	_, err := t.client.Put(t.ctx, "", "x")
	t.is(err, rpctypes.ErrEmptyKey, "put of no key")
	_, err = t.client.Put(t.ctx, "none", "", clientv3.WithIgnoreValue())
	t.is(err, rpctypes.ErrKeyNotFound, "ignore_value on a missing key")
	_, err = t.client.Put(t.ctx, "lease", "x", clientv3.WithLease(987654321))
	t.is(err, rpctypes.ErrLeaseNotFound, "put with a lease that is not there")
	same := clientv3.OpPut("same", "x")
	_, err = t.client.Txn(t.ctx).Then(same, same).Commit()
	t.is(err, rpctypes.ErrDuplicateKey, "one key twice")
	many := make([]clientv3.Op, 129)
	for i := range many {
		many[i] = clientv3.OpGet("x")
	}
	_, err = t.client.Txn(t.ctx).Then(many...).Commit()
	t.is(err, rpctypes.ErrTooManyOps, "129 operations")
	_, err = t.client.Put(t.ctx, "large", strings.Repeat("x", 1600*1024))
	t.is(err, rpctypes.ErrRequestTooLarge, "1.6 MiB")
}

func compactionErrors(t *test) {
	first := t.put("c", "1")
	t.put("c", "2")
	last := t.put("c", "3")
	_, err := t.client.Compact(t.ctx, last-1, clientv3.WithCompactPhysical())
	t.ok(err, "compact")
	_, err = t.client.Get(t.ctx, "c", clientv3.WithRev(first))
	t.is(err, rpctypes.ErrCompacted, "get of the past")
	_, err = t.client.Get(t.ctx, "c", clientv3.WithRev(last+1000))
	t.is(err, rpctypes.ErrFutureRev, "get of the future")
	_, err = t.client.Compact(t.ctx, last-1)
	t.is(err, rpctypes.ErrCompacted, "compact again")
	_, err = t.client.Compact(t.ctx, last+1000)
	t.is(err, rpctypes.ErrFutureRev, "compact the future")
	t.equal(values(t.get("c", clientv3.WithRev(last-1))), "c=2", "at the compacted revision")

	watched, ok := <-t.client.Watch(t.ctx, "c", clientv3.WithRev(first))
	t.equal(ok, true, "an answer of the watch")
	t.is(watched.Err(), rpctypes.ErrCompacted, "watch of the past")
	t.equal(watched.CompactRevision, last-1, "compact revision")
}

func namespaces(t *test) {
	kv := namespace.NewKV(t.client, "ns/")
	watcher := namespace.NewWatcher(t.client, "ns/")
	defer watcher.Close()
	put, err := kv.Put(t.ctx, "a", "1")
	t.ok(err, "put")
	t.equal(values(t.get("ns/a")), "ns/a=1", "where it is")
	_, err = kv.Txn(t.ctx).If(clientv3.Compare(clientv3.Value("a"), "=", "1")).Then(clientv3.OpPut("b", "2")).Commit()
	t.ok(err, "txn")
	all, err := kv.Get(t.ctx, "a", clientv3.WithFromKey())
	t.ok(err, "get")
	t.equal(values(all), "a=1 b=2", "what is there")
	events := watcher.Watch(t.ctx, "a", clientv3.WithFromKey(), clientv3.WithRev(put.Header.Revision))
	seen := ""
	for len(seen) < 2 {
		for _, event := range (<-events).Events {
			seen += string(event.Kv.Key)
		}
	}
	t.equal(seen, "ab", "watched")
}

func leasingCache(t *test) {
	kv, done, err := leasing.NewKV(t.client, "leasing/")
	t.ok(err, "leasing")
	defer done()
	other, doneOther, err := leasing.NewKV(t.client, "leasing/")
	t.ok(err, "leasing")
	defer doneOther()
	t.put("cached", "1")
	for i, want := range []string{"1", "2", "3"} {
		for _, reader := range []clientv3.KV{kv, other, kv} {
			got, err := reader.Get(t.ctx, "cached")
			t.ok(err, "get")
			t.equal(string(got.Kvs[0].Value), want, "cached value")
		}
		writer := []clientv3.KV{kv, other}[i%2]
		_, err := writer.Put(t.ctx, "cached", string(rune('2'+i)))
		t.ok(err, "put")
	}
}

func mirrored(t *test) {
	for _, key := range []string{"m/1", "m/2", "m/3"} {
		t.put(key, "old")
	}
	syncer := mirror.NewSyncer(t.client, "m/", 0)
	base, errs := syncer.SyncBase(t.ctx)
	seen := 0
	for answer := range base {
		seen += len(answer.Kvs)
	}
	t.ok(<-errs, "the base")
	t.equal(seen, 3, "keys of the base")
	updates := syncer.SyncUpdates(t.ctx)
	t.put("m/4", "new")
	t.equal(string((<-updates).Events[0].Kv.Key), "m/4", "an update")
}
