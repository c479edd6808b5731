package webhook

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// LeaseName is the Lease by which one replica leads.
const LeaseName = "entente-webhook"

// lead does what only one replica is to do, as long as it is this one. A
// controller-runtime manager that loses its lease ends the process; this one
// goes on admitting pods, which needs no leader, and tries again. Who is told to
// end gives the lease up at once: while it drains it may lose the right to, for
// instance because it has been uninstalled, and nobody could lead until it ran out.
func (s *Service) lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.leading, cancel)()
	core, err := coordinationv1.NewForConfig(s.REST)
	if err != nil {
		return err
	}
	var term sync.Mutex // the tasks of one term end before those of the next begin
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Name: LeaseName, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second, ReleaseOnCancel: true,
			Lock: &resourcelock.LeaseLock{
				LeaseMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: LeaseName}, Client: core,
				LockConfig: resourcelock.ResourceLockConfig{Identity: s.identity},
			},
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) {
					term.Lock()
					defer term.Unlock()
					s.tasks(ctx)
				},
				OnStoppedLeading: func() {},
			},
		})
		if err != nil {
			return err
		}
		elector.Run(ctx)
	}
	return nil
}

// tasks are a leader's, until ctx ends.
func (s *Service) tasks(ctx context.Context) {
	s.Log.Info("leading")
	s.metrics.leader.Set(1)
	defer s.metrics.leader.Set(0)
	var running sync.WaitGroup
	if s.distributor != nil {
		running.Go(func() { s.distributor.Lead(ctx) })
	}
	if s.SweepInterval > 0 {
		w := &sweeper{live: s.pods, every: s.SweepInterval, events: s.events, log: s.Log, metrics: s.metrics}
		running.Go(func() { w.Lead(ctx) })
	}
	running.Wait()
}
