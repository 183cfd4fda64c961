package main

import (
	"crypto/sha256"
	"io"
	"io/ioutil"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

var maintenanceChecks = []check{
	{"maintenance: status, hash, alarms, defragmentation", maintenance},
	{"maintenance: a snapshot with its checksum", snapshot},
	{"cluster: the members' addresses can be connected to", members},
}

func maintenance(t *test) {
	status, err := t.client.Status(t.ctx, t.endpoint)
	t.ok(err, "status")
	if status.Leader == 0 || status.Leader != status.Header.MemberId || status.DbSize <= 0 || status.RaftTerm < 1 {
		t.fail("status is %v", status)
	}
	first, err := t.client.HashKV(t.ctx, t.endpoint, 0)
	t.ok(err, "hash")
	again, err := t.client.HashKV(t.ctx, t.endpoint, first.Header.Revision)
	t.ok(err, "hash")
	t.equal(again.Hash, first.Hash, "hash")
	alarms, err := t.client.AlarmList(t.ctx)
	t.ok(err, "alarms")
	t.equal(len(alarms.Alarms), 0, "alarms")
	_, err = t.client.Defragment(t.ctx, t.endpoint)
	t.ok(err, "defragment")
	_, err = t.client.MoveLeader(t.ctx, 12345)
	t.is(err, rpctypes.ErrBadLeaderTransferee, "move the leader to nobody")
}

func snapshot(t *test) {
	reader, err := t.client.Snapshot(t.ctx)
	t.ok(err, "snapshot")
	bytes, err := ioutil.ReadAll(io.Reader(reader))
	t.ok(err, "snapshot")
	t.equal(len(bytes)%512, sha256.Size, "size beyond its pages")
	body := bytes[:len(bytes)-sha256.Size]
	if sum := sha256.Sum256(body); string(sum[:]) != string(bytes[len(body):]) {
		t.fail("the checksum is wrong")
	}
}

func members(t *test) {
	list, err := t.client.MemberList(t.ctx)
	t.ok(err, "member list")
	t.equal(len(list.Members), 1, "members")
	t.equal(list.Members[0].ID, list.Header.MemberId, "id")
	other, err := clientv3.New(clientv3.Config{Endpoints: list.Members[0].ClientURLs})
	t.ok(err, "connect")
	defer other.Close()
	t.ok(other.Sync(t.ctx), "sync")
	_, err = other.Get(t.ctx, "x")
	t.ok(err, "get by the member's address")
}
