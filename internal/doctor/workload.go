package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the webhook reads (azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html).
const (
	UseLabel                 = "azure.workload.identity/use"
	clientAnnotation         = "azure.workload.identity/client-id"
	tenantAnnotation         = "azure.workload.identity/tenant-id"
	skipAnnotation           = "azure.workload.identity/skip-containers"
	webhookName              = "mutation.azure-workload-identity.io"
	reservedVolume           = "azure-workload-identity-reserved-"
	reservedVolumeBefore     = "azure-identity-token"    // up to version 1.5 of azure-workload-identity
	ownVolume                = "workload-identity-token" // of our mends
	defaultAccount           = "default"
	publicDiscoveryRole      = "system:service-account-issuer-discovery"
	lastPodsLooked       int = 500
)

// workload is what makes pods.
type workload struct {
	kind, name string // kind as kubectl takes it: deployment, …, pod for a pod of its own
	labels     map[string]string
	template   corev1.PodTemplateSpec
}

func (w *workload) String() string { return w.kind + "/" + w.name }

// owner finds what made an object, upwards to the one that a person wrote.
func (x *exam) owner(ctx context.Context, pod *corev1.Pod) (*workload, error) {
	api, namespace := x.Cluster.API, pod.Namespace
	by := metav1.GetControllerOf(pod)
	if by == nil {
		return &workload{"pod", pod.Name, pod.Labels, corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}}, nil
	}
	switch get := (metav1.GetOptions{}); by.Kind {
	case "ReplicaSet":
		set, err := api.AppsV1().ReplicaSets(namespace).Get(ctx, by.Name, get)
		if err != nil {
			return nil, err
		}
		above := metav1.GetControllerOf(set)
		if above == nil || above.Kind != "Deployment" {
			return &workload{"replicaset", set.Name, set.Labels, set.Spec.Template}, nil
		}
		deployment, err := api.AppsV1().Deployments(namespace).Get(ctx, above.Name, get)
		if err != nil {
			return nil, err
		}
		return &workload{"deployment", deployment.Name, deployment.Labels, deployment.Spec.Template}, nil
	case "StatefulSet":
		set, err := api.AppsV1().StatefulSets(namespace).Get(ctx, by.Name, get)
		if err != nil {
			return nil, err
		}
		return &workload{"statefulset", set.Name, set.Labels, set.Spec.Template}, nil
	case "DaemonSet":
		set, err := api.AppsV1().DaemonSets(namespace).Get(ctx, by.Name, get)
		if err != nil {
			return nil, err
		}
		return &workload{"daemonset", set.Name, set.Labels, set.Spec.Template}, nil
	case "ReplicationController":
		controller, err := api.CoreV1().ReplicationControllers(namespace).Get(ctx, by.Name, get)
		if err != nil {
			return nil, err
		}
		template := corev1.PodTemplateSpec{}
		if controller.Spec.Template != nil {
			template = *controller.Spec.Template
		}
		return &workload{"replicationcontroller", controller.Name, controller.Labels, template}, nil
	case "Job":
		job, err := api.BatchV1().Jobs(namespace).Get(ctx, by.Name, get)
		if err != nil {
			return nil, err
		}
		above := metav1.GetControllerOf(job)
		if above == nil || above.Kind != "CronJob" {
			return &workload{"job", job.Name, job.Labels, job.Spec.Template}, nil
		}
		cron, err := api.BatchV1().CronJobs(namespace).Get(ctx, above.Name, get)
		if err != nil {
			return nil, err
		}
		return &workload{"cronjob", cron.Name, cron.Labels, cron.Spec.JobTemplate.Spec.Template}, nil
	}
	return &workload{kind: strings.ToLower(by.Kind), name: by.Name}, nil
}

// users are the workloads of a namespace whose pods run as a service account.
func (x *exam) users(ctx context.Context, account string) ([]*workload, error) {
	api, namespace, all := x.Cluster.API, x.Namespace, metav1.ListOptions{Limit: int64(lastPodsLooked)}
	var found []*workload
	add := func(kind string, meta metav1.ObjectMeta, template corev1.PodTemplateSpec) {
		if accountOf(template.Spec) == account {
			found = append(found, &workload{kind, meta.Name, meta.Labels, template})
		}
	}
	deployments, err := api.AppsV1().Deployments(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range deployments.Items {
		add("deployment", o.ObjectMeta, o.Spec.Template)
	}
	stateful, err := api.AppsV1().StatefulSets(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range stateful.Items {
		add("statefulset", o.ObjectMeta, o.Spec.Template)
	}
	daemons, err := api.AppsV1().DaemonSets(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range daemons.Items {
		add("daemonset", o.ObjectMeta, o.Spec.Template)
	}
	crons, err := api.BatchV1().CronJobs(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range crons.Items {
		add("cronjob", o.ObjectMeta, o.Spec.JobTemplate.Spec.Template)
	}
	pods, err := api.CoreV1().Pods(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range pods.Items {
		if metav1.GetControllerOf(&o) == nil {
			add("pod", o.ObjectMeta, corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec})
		}
	}
	return found, nil
}

func accountOf(spec corev1.PodSpec) string { return cmp.Or(spec.ServiceAccountName, defaultAccount) }

// variable is one of a container's environment.
type variable struct {
	value string
	known bool // false: it comes from a ConfigMap, a Secret or a field
}

// environment is what a container gets, as far as the pod says it.
func environment(c corev1.Container) map[string]variable {
	all := map[string]variable{}
	for _, v := range c.Env {
		all[v.Name] = variable{v.Value, v.ValueFrom == nil}
	}
	return all
}

// projected is a volume that brings a service-account token.
type projected struct {
	volume   string
	index    int // of the volume in the pod, and of the source in the volume
	source   int
	file     string // absolute, as the container sees it
	audience string // empty: the API server's own
	seconds  int64
}

// byHand says that a person wrote the volume, and not the webhook.
func (p *projected) byHand() bool {
	return !strings.HasPrefix(p.volume, reservedVolume) && p.volume != reservedVolumeBefore
}

// tokens are the service-account tokens that a container has in files.
func tokens(spec corev1.PodSpec, c corev1.Container) []projected {
	var all []projected
	for i, v := range spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for j, s := range v.Projected.Sources {
			if s.ServiceAccountToken == nil {
				continue
			}
			for _, m := range c.VolumeMounts {
				if m.Name != v.Name {
					continue
				}
				p := projected{volume: v.Name, index: i, source: j, audience: s.ServiceAccountToken.Audience, seconds: 3600}
				p.file = strings.TrimRight(m.MountPath, "/") + "/" + s.ServiceAccountToken.Path
				if m.SubPath != "" {
					p.file = m.MountPath
				}
				if s.ServiceAccountToken.ExpirationSeconds != nil {
					p.seconds = *s.ServiceAccountToken.ExpirationSeconds
				}
				all = append(all, p)
			}
		}
	}
	return all
}

// mayNot says in words why an object of the cluster was not read; empty: it is not there.
func mayNot(what string, err error) string {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return fmt.Sprintf("you may not read %s", what)
	}
	return fmt.Sprintf("%s could not be read: %v", what, err)
}
