package fleet

import "k8s.io/apimachinery/pkg/api/validate/content"

// The words of rollouts and failover.
const (
	conflictAbort     = "Abort"
	conflictOverwrite = "Overwrite"
	purgeDirectly     = "Directly"
	purgeGracefully   = "Gracefully"
	purgeNever        = "Never"
)

// The defaults of Karmada's webhook for an application that fails.
const (
	defaultTolerationSeconds  = 300
	defaultGracePeriodSeconds = 600
)

// checkRollout checks what is said of an app beyond its placement, at the top of
// its spec.
func (d *document) checkRollout(r Rollout, field string) {
	if r.ConflictResolution != "" {
		d.oneOf(r.ConflictResolution, field+".conflictResolution", conflictAbort, conflictOverwrite)
	}
	d.checkSuspension(r.Suspension, field+".suspension")
	for i, ignored := range r.IgnoreDifferences {
		field := index(field+".ignoreDifferences", i)
		if ignored.Kind == "" {
			d.missing(field+".kind", "")
		}
		if len(ignored.JSONPointers) == 0 {
			d.missing(field+".jsonPointers", "the fields that each cluster may change, such as /spec/replicas")
		}
		for j, pointer := range ignored.JSONPointers {
			d.checkPointer(pointer, index(field+".jsonPointers", j))
		}
	}
	if r.Drift != "" {
		d.oneOf(string(r.Drift), field+".drift", string(DriftCorrect), string(DriftReport), string(DriftOff))
	}
	for i, kind := range r.PruneAlso {
		d.oneOf(kind, index(field+".pruneAlso", i), kindNamespace, kindClaim, kindDefinition)
	}
	for i, expr := range r.HealthCheckExprs {
		d.checkHealth(expr, index(field+".healthCheckExprs", i))
	}
}

func (d *document) checkHealth(e HealthCheckExpr, field string) {
	if e.APIVersion == "" {
		d.missing(field+".apiVersion", "")
	}
	if e.Kind == "" {
		d.missing(field+".kind", "")
	}
	if e.Current == "" {
		d.missing(field+".current", "an expression that is true of an object that is well, such as status.phase == 'Running'")
	}
	_, mistakes := e.Compile()
	for name, err := range mistakes {
		d.refuse(field+"."+name, "write what is true or false of an object, such as has(status.phase) && status.phase == 'Running'", "%v", err)
	}
}

// checkServiceAccount checks whose rights an app is applied with.
func (d *document) checkServiceAccount(name, namespace, field string) {
	if name == "" {
		return
	}
	if wrong := content.IsDNS1123Subdomain(name); len(wrong) > 0 {
		d.refuse(field, "use lower-case letters, digits, '-' and '.'", "is %q, which cannot be the name of a ServiceAccount", name)
	}
	if namespace == "" {
		d.refuse(field, "write metadata.namespace of the app: the ServiceAccount is one of that namespace", "has no namespace to be in")
	}
}

func (d *document) checkSuspension(s *Suspension, field string) {
	if s == nil || s.DispatchingOnClusters == nil {
		return
	}
	clusters := field + ".dispatchingOnClusters"
	if s.Dispatching {
		d.refuse(clusters, "remove one of them", "cannot stand beside dispatching, which stops all clusters")
	}
	checkNames(d, "cluster", s.DispatchingOnClusters.ClusterNames, clusters+".clusterNames")
}

func (d *document) checkConstraints(constraints []Constraint, field string) {
	for i, c := range constraints {
		field := index(field, i)
		if !d.has(field + ".within") {
			d.missing(field+".within", "the clusters that the app may not leave")
		}
		d.checkAffinity(&c.Within, field+".within")
		if c.Reason == "" {
			d.missing(field+".reason", "say why, for whoever breaks it")
		}
	}
}

// checkFailover checks what happens on clusters that are lost, and sets the
// defaults.
func (d *document) checkFailover(f *Failover, field string) {
	if f == nil {
		return
	}
	if a := f.Application; a != nil {
		d.checkApplicationFailover(a, field+".application")
	}
	if c := f.Cluster; c != nil {
		d.checkPurgeMode(&c.PurgeMode, field+".cluster.purgeMode", purgeDirectly, purgeGracefully)
	}
}

func (d *document) checkApplicationFailover(a *ApplicationFailover, field string) {
	d.checkPurgeMode(&a.PurgeMode, field+".purgeMode", purgeDirectly, purgeGracefully, purgeNever)
	switch conditions := &a.DecisionConditions; {
	case conditions.TolerationSeconds == nil:
		seconds := int64(defaultTolerationSeconds)
		conditions.TolerationSeconds = &seconds
	case *conditions.TolerationSeconds < 0:
		d.refuse(field+".decisionConditions.tolerationSeconds", "", "is %d, want 0 or more", *conditions.TolerationSeconds)
	}
	grace := field + ".gracePeriodSeconds"
	switch {
	case a.PurgeMode != purgeGracefully && a.GracePeriodSeconds != nil:
		d.refuse(grace, "remove it, or use purgeMode Gracefully", "only has a meaning with purgeMode Gracefully")
	case a.PurgeMode != purgeGracefully:
	case a.GracePeriodSeconds == nil:
		seconds := int64(defaultGracePeriodSeconds)
		a.GracePeriodSeconds = &seconds
	case *a.GracePeriodSeconds <= 0:
		d.refuse(grace, "", "is %d, want 1 or more", *a.GracePeriodSeconds)
	}
}

// checkPurgeMode checks a purge mode. It sets the default, and the word of today
// for one of former versions of Karmada.
func (d *document) checkPurgeMode(mode *string, field string, allowed ...string) {
	former := map[string]string{"Immediately": purgeDirectly, "Graciously": purgeGracefully}
	if today, old := former[*mode]; old {
		d.warn(field, "write "+today, "%q is a word of former versions of Karmada", *mode)
		*mode = today
	}
	if *mode == "" {
		*mode = purgeGracefully
	}
	d.oneOf(*mode, field, allowed...)
}
