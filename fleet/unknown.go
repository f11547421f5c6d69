package fleet

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// refused lists the fields that belong to the language and that are not honoured,
// with the reason: what is ignored in silence deploys the wrong thing.
var refused = map[reflect.Type]map[string]string{
	reflect.TypeFor[ApplicationFailover](): {"statePreservation": noState},
	reflect.TypeFor[ClusterFailover]():     {"statePreservation": noState},
	reflect.TypeFor[IgnoredDifference](): {
		"jqPathExpressions":     "name the fields by jsonPointers",
		"managedFieldsManagers": "name the fields by jsonPointers",
	},
	reflect.TypeFor[Kustomize](): {
		"commonAnnotations": notYet, "commonLabels": notYet, "configMapGenerator": notYet, "generatorOptions": notYet,
		"labels": notYet, "namePrefix": notYet, "nameSuffix": notYet, "namespace": notYet, "replacements": notYet,
		"secretGenerator": notYet,
	},
}

const (
	notYet  = "remove it: ignoring it would deploy something else than it says"
	noState = "remove it: the status of what was lost would have to be written into objects that Git defines"
)

// elsewhere says what to do with fields that people know from other places and
// that have none here.
var elsewhere = map[reflect.Type]map[string]string{
	reflect.TypeFor[appSpec](): {
		"overrideRules":        "an App calls them overrides",
		"overriders":           "write it in a rule: spec.overrides[].overriders",
		"targetCluster":        "write it in a rule: spec.overrides[].targetCluster",
		"resourceSelectors":    "an App consists of the objects of its source",
		"path":                 "write it as spec.source.path",
		"association":          "write propagateDeps",
		"purgeMode":            "write it under failover.cluster or failover.application",
		"dependentOverrides":   noClaim,
		"preemption":           noClaim,
		"priority":             noClaim,
		"activationPreference": noClaim,
		"schedulePriority":     noScheduler,
		"schedulerName":        noScheduler,
	},
	reflect.TypeFor[overrideSpec]():    {"overrides": "Karmada never had it: " + overrideRulesHint},
	reflect.TypeFor[propagationSpec](): {"overrideRules": "write an OverridePolicy", "overriders": "write an OverridePolicy"},
	reflect.TypeFor[sourceSpec]():      {"objects": "only Karmada's policies claim single objects; name a folder or a file as path"},
	reflect.TypeFor[Placement]():       {"workloadAntiAffinity": "write it as workloadAffinity.antiAffinity"},
	reflect.TypeFor[clusterSpec](): {
		"zone":                        "write a list: zones",
		"labels":                      "labels are in metadata",
		"apiEndpoint":                 noConnection,
		"id":                          noConnection,
		"impersonatorSecretRef":       noConnection,
		"insecureSkipTLSVerification": noConnection,
		"proxyHeader":                 noConnection,
		"proxyURL":                    noConnection,
		"resourceModels":              noModels,
		"secretRef":                   noConnection,
		"syncMode":                    noConnection,
	},
	reflect.TypeFor[Taint]():      {"timeAdded": noTime},
	reflect.TypeFor[Overriders](): {"patches": "write it under kustomize"},
	reflect.TypeFor[ClusterAffinity](): {
		"affinityName":       "a group with a name belongs in clusterAffinities",
		"overflowAffinities": "groups that overflow belong in clusterAffinities",
	},
	reflect.TypeFor[Kustomize](): {
		"bases":                 "the base is spec.source.path",
		"generators":            noPlugin,
		"helmCharts":            noPlugin,
		"patchesJson6902":       "write it under patches",
		"patchesStrategicMerge": "write it under patches",
		"resources":             "the base is spec.source.path; add objects with a component",
		"transformers":          noPlugin,
		"validators":            noPlugin,
	},
}

const (
	noConnection = "the hub never connects to a cluster: the agent connects to the hub"
	noTime       = "a taint in Git holds for as long as it is there"
	noModels     = "agents report the room on each node"
	noPlugin     = "nothing in a fleet repository runs a program"
	noClaim      = "an App has its objects from its source: nothing competes for them"
	noScheduler  = "every app is decided at once, by the hub"
)

// unknown refuses a field that t does not have.
func (d *document) unknown(t reflect.Type, name, field string) {
	if reason, known := refused[t][name]; known {
		d.refuse(field, reason, "is not supported")
		return
	}
	fields := slices.Sorted(maps.Keys(fieldsOf(t)))
	hint := elsewhere[t][name]
	if hint == "" {
		hint = didYouMean(name, fields)
	}
	if hint == "" {
		hint = "known: " + strings.Join(fields, ", ")
	}
	d.refuse(field, hint, "unknown field")
}

// didYouMean returns the hint at the candidate that is closest to what was
// written, or "" when none is close.
func didYouMean[S ~string](name S, candidates []S) string {
	written := string(name)
	best, least := "", 1+max(1, len(written)/3)
	for _, candidate := range candidates {
		c := string(candidate)
		if max(len(c)-len(written), len(written)-len(c)) > least {
			continue
		}
		n := distance(strings.ToLower(written), strings.ToLower(c))
		if n < least || n == least && best != "" && c < best {
			best, least = c, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance counts the letters to insert, remove, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
