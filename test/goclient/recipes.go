package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
	recipe "go.etcd.io/etcd/contrib/recipes"
)

var recipeChecks = []check{
	{"mutex: one at a time", mutex},
	{"mutex: free when its holder's session runs out", mutexOrphan},
	{"election: campaign, proclaim, observe, resign", election},
	{"stm: money moves between accounts and none is lost", stm},
	{"queue: what goes in comes out once, in order", queue},
	{"barrier: all enter and leave together", barrier},
	{"rwmutex: readers together, a writer alone", rwMutex},
}

func (t *test) session(seconds int) *concurrency.Session {
	session, err := concurrency.NewSession(t.client, concurrency.WithTTL(seconds))
	t.ok(err, "session")
	return session
}

func mutex(t *test) {
	const clients, rounds = 6, 5
	inside, counter := 0, 0
	problems := make(chan error, clients)
	var all sync.WaitGroup
	var guard sync.Mutex
	for i := 0; i < clients; i++ {
		session := t.session(30)
		all.Add(1)
		go func() {
			defer all.Done()
			defer session.Close()
			lock := concurrency.NewMutex(session, "mutex")
			for n := 0; n < rounds; n++ {
				if err := lock.Lock(t.ctx); err != nil {
					problems <- err
					return
				}
				guard.Lock()
				inside++
				if inside > 1 {
					problems <- fmt.Errorf("%d hold the lock", inside)
				}
				guard.Unlock()
				time.Sleep(time.Millisecond)
				guard.Lock()
				inside--
				counter++
				guard.Unlock()
				if err := lock.Unlock(t.ctx); err != nil {
					problems <- err
					return
				}
			}
		}()
	}
	all.Wait()
	select {
	case problem := <-problems:
		t.fail("%v", problem)
	default:
	}
	t.equal(counter, clients*rounds, "times that it was held")
	t.equal(t.get("mutex", clientv3.WithPrefix()).Count, 0, "keys that are left")
}

func mutexOrphan(t *test) {
	first := t.session(2)
	lock := concurrency.NewMutex(first, "orphan")
	t.ok(lock.Lock(t.ctx), "lock")
	second := t.session(30)
	defer second.Close()
	other := concurrency.NewMutex(second, "orphan")
	short, cancel := context.WithTimeout(t.ctx, 500*time.Millisecond)
	defer cancel()
	t.is(other.Lock(short), context.DeadlineExceeded, "half a second before a lock that is held")
	first.Orphan()
	t.ok(other.Lock(t.ctx), "lock of the next")
	t.ok(other.Unlock(t.ctx), "unlock")
}

func election(t *test) {
	first, second := t.session(30), t.session(30)
	defer first.Close()
	defer second.Close()
	one, two := concurrency.NewElection(first, "office"), concurrency.NewElection(second, "office")
	_, err := one.Leader(t.ctx)
	t.is(err, concurrency.ErrElectionNoLeader, "no leader yet")
	t.ok(one.Campaign(t.ctx, "one"), "campaign")
	observed := two.Observe(t.ctx)
	t.equal(string((<-observed).Kvs[0].Value), "one", "observed")
	won := make(chan error)
	go func() { won <- two.Campaign(t.ctx, "two") }()
	t.ok(one.Proclaim(t.ctx, "one again"), "proclaim")
	t.equal(string((<-observed).Kvs[0].Value), "one again", "observed")
	for t.get("office/", clientv3.WithPrefix()).Count < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	t.ok(one.Resign(t.ctx), "resign")
	t.ok(<-won, "campaign of the second")
	t.equal(string((<-observed).Kvs[0].Value), "two", "observed")
	leader, err := one.Leader(t.ctx)
	t.ok(err, "leader")
	t.equal(string(leader.Kvs[0].Value), "two", "leader")
	t.is(one.Proclaim(t.ctx, "late"), concurrency.ErrElectionNotLeader, "proclaim of who is not leader")
	t.ok(two.Resign(t.ctx), "resign")
}

func stm(t *test) {
	const accounts, clients, moves = 5, 6, 10
	account := func(n int) string { return fmt.Sprintf("account/%d", n%accounts) }
	for n := 0; n < accounts; n++ {
		t.put(account(n), "100")
	}
	levels := []concurrency.Isolation{concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.RepeatableReads}
	problems := make(chan error, clients)
	for client := 0; client < clients; client++ {
		go func(client int) {
			for n := 0; n < moves; n++ {
				from, to := account(client+n), account(client+2*n+1)
				_, err := concurrency.NewSTM(t.client, func(s concurrency.STM) error {
					if from == to {
						return nil
					}
					before, _ := strconv.Atoi(s.Get(from))
					other, _ := strconv.Atoi(s.Get(to))
					s.Put(from, strconv.Itoa(before-1))
					s.Put(to, strconv.Itoa(other+1))
					return nil
				}, concurrency.WithIsolation(levels[client%2]), concurrency.WithAbortContext(t.ctx))
				if err != nil {
					problems <- err
					return
				}
			}
			problems <- nil
		}(client)
	}
	for client := 0; client < clients; client++ {
		t.ok(<-problems, "transaction")
	}
	sum := 0
	for _, kv := range t.get("account/", clientv3.WithPrefix()).Kvs {
		amount, err := strconv.Atoi(string(kv.Value))
		t.ok(err, "amount")
		sum += amount
	}
	t.equal(sum, 100*accounts, "sum")
}

func queue(t *test) {
	const items = 20
	in, out := recipe.NewQueue(t.client, "queue"), recipe.NewQueue(t.client, "queue")
	go func() {
		for i := 0; i < items; i++ {
			if err := in.Enqueue(strconv.Itoa(i)); err != nil {
				return
			}
		}
	}()
	for i := 0; i < items; i++ {
		got, err := out.Dequeue()
		t.ok(err, "dequeue")
		t.equal(got, i, "item")
	}
}

func barrier(t *test) {
	const parties = 3
	problems := make(chan error, parties)
	for i := 0; i < parties; i++ {
		session := t.session(30)
		defer session.Close()
		go func() {
			double := recipe.NewDoubleBarrier(session, "barrier", parties)
			if err := double.Enter(); err != nil {
				problems <- err
				return
			}
			problems <- double.Leave()
		}()
	}
	for i := 0; i < parties; i++ {
		t.ok(<-problems, "barrier")
	}
}

func rwMutex(t *test) {
	sessions := []*concurrency.Session{t.session(30), t.session(30), t.session(30)}
	locks := []*recipe.RWMutex{}
	for _, session := range sessions {
		defer session.Close()
		locks = append(locks, recipe.NewRWMutex(session, "rw"))
	}
	t.ok(locks[0].RLock(), "first reader")
	t.ok(locks[1].RLock(), "second reader")
	written := make(chan error, 1)
	go func() { written <- locks[2].Lock() }()
	select {
	case <-written:
		t.fail("a writer came in between readers")
	case <-time.After(300 * time.Millisecond):
	}
	t.ok(locks[0].RUnlock(), "first reader leaves")
	t.ok(locks[1].RUnlock(), "second reader leaves")
	t.ok(<-written, "writer")
	t.ok(locks[2].Unlock(), "writer leaves")
}
