package main

import (
	"context"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

// The last group: it ends with authentication off again.
var authChecks = []check{
	{"auth: users, roles and their typed errors", authCalls},
	{"auth: a user does what his role says, also behind a restart and a change of roles", authUse},
	{"auth: off again", authOff},
}

const readWrite = clientv3.PermissionType(clientv3.PermReadWrite)

func authCalls(t *test) {
	_, err := t.client.AuthEnable(t.ctx)
	t.is(err, rpctypes.ErrRootUserNotExist, "enable without root")
	_, err = t.client.UserAdd(t.ctx, "root", "secret")
	t.ok(err, "user add")
	_, err = t.client.UserAdd(t.ctx, "root", "secret")
	t.is(err, rpctypes.ErrUserAlreadyExist, "user add again")
	_, err = t.client.AuthEnable(t.ctx)
	t.is(err, rpctypes.ErrRootRoleNotExist, "enable without the role")
	_, err = t.client.UserGrantRole(t.ctx, "root", "none")
	t.is(err, rpctypes.ErrRoleNotFound, "grant a role that is not there")
	for _, role := range []string{"root", "worker"} {
		_, err = t.client.RoleAdd(t.ctx, role)
		t.ok(err, "role add")
	}
	_, err = t.client.RoleGrantPermission(t.ctx, "worker", "work/", clientv3.GetPrefixRangeEnd("work/"), readWrite)
	t.ok(err, "grant permission")
	_, err = t.client.UserAdd(t.ctx, "kim", "word")
	t.ok(err, "user add")
	for user, role := range map[string]string{"root": "root", "kim": "worker"} {
		_, err = t.client.UserGrantRole(t.ctx, user, role)
		t.ok(err, "grant role")
	}
	_, err = t.client.UserRevokeRole(t.ctx, "kim", "root")
	t.is(err, rpctypes.ErrRoleNotGranted, "revoke a role that he has not")
	_, err = t.client.AuthDisable(t.ctx)
	t.ok(err, "disable what is off")
	_, err = t.client.AuthEnable(t.ctx)
	t.ok(err, "enable")
}

func authUse(t *test) {
	_, err := t.client.Get(t.ctx, "work/a")
	t.is(err, rpctypes.ErrUserEmpty, "get of nobody")
	_, err = connect(t.endpoint, "kim", "wrong")
	t.is(err, rpctypes.ErrAuthFailed, "a wrong password")
	root, kim := t.connect("root", "secret"), t.connect("kim", "word")
	defer root.Close()
	defer kim.Close()
	work := func(when string) {
		_, err := kim.Put(t.ctx, "work/a", when)
		t.ok(err, "put "+when)
		_, err = kim.Get(t.ctx, "elsewhere")
		t.is(err, rpctypes.ErrPermissionDenied, "get elsewhere "+when)
		_, err = kim.Txn(t.ctx).Then(clientv3.OpGet("work/a"), clientv3.OpPut("elsewhere", "x")).Commit()
		t.is(err, rpctypes.ErrPermissionDenied, "txn elsewhere "+when)
	}
	work("at first")
	watching, cancel := context.WithCancel(t.ctx)
	defer cancel()
	events := kim.Watch(watching, "work/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	t.equal((<-events).Created, true, "created")
	refused := <-kim.Watch(watching, "elsewhere")
	if refused.Err() == nil {
		t.fail("a watch elsewhere is not refused")
	}
	// Tokens are gone with the process, and older than the roles: the client fetches another by itself.
	t.restart()
	work("behind a restart")
	_, err = root.RoleAdd(t.ctx, "more")
	t.ok(err, "role add")
	work("behind a change of roles")
	seen := map[string]bool{}
	for until := time.After(20 * time.Second); len(seen) < 2; {
		select {
		case answer := <-events:
			t.ok(answer.Err(), "watch")
			for _, event := range answer.Events {
				seen[string(event.Kv.Value)] = true
			}
		case <-until:
			t.fail("the watch saw only %v behind the restart", seen)
		}
	}
	_, err = root.UserRevokeRole(t.ctx, "kim", "worker")
	t.ok(err, "revoke role")
	_, err = kim.Put(t.ctx, "work/a", "no more")
	t.is(err, rpctypes.ErrPermissionDenied, "put without the role")
	_, err = kim.UserList(t.ctx)
	t.is(err, rpctypes.ErrPermissionDenied, "user list")
}

func authOff(t *test) {
	root := t.connect("root", "secret")
	defer root.Close()
	_, err := root.AuthDisable(t.ctx)
	t.ok(err, "disable")
	t.put("elsewhere", "everybody")
}
