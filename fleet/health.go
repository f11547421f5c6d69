package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// healthCost is the most that one expression may cost, in the units of CEL: some
// milliseconds. What a person writes about an object costs tens or hundreds.
const healthCost = 1_000_000

// ObjectHealth is what a [HealthCheck] says of an object, a word of kstatus.
type ObjectHealth string

// The words of [ObjectHealth].
const (
	HealthInProgress ObjectHealth = "InProgress"
	HealthFailed     ObjectHealth = "Failed"
	HealthCurrent    ObjectHealth = "Current"
)

// HealthCheck is a compiled [HealthCheckExpr]. It is for any number of goroutines.
//
// The language is that of Flux: CEL with optional values and the functions for
// strings, sets and encodings, where every top-level field of the object is a
// variable. It is compiled here, and not only where it is asked, so that a mistake is
// found where the expression is written and an agent never meets one. The price of it:
// the hub's binary grows by 6 MB, its memory by 4 MiB, and a commit by 0.7 ms for each
// check that it changes.
type HealthCheck struct {
	asked []healthQuestion // in their order
}

type healthQuestion struct {
	name    string
	verdict ObjectHealth
	program cel.Program
}

// Compile makes e ready to be asked. Where an expression is no good it says why, by
// the name of its field; such a check is not to be used.
func (e HealthCheckExpr) Compile() (*HealthCheck, map[string]error) {
	check := &HealthCheck{}
	mistakes := map[string]error{}
	for _, q := range e.questions() {
		program, err := compileHealth(q.source)
		if err != nil {
			mistakes[q.name] = err
			continue
		}
		check.asked = append(check.asked, healthQuestion{q.name, q.verdict, program})
	}
	return check, mistakes
}

type healthSource struct {
	name, source string
	verdict      ObjectHealth
}

// questions are the expressions of e that are written, in the order to ask them.
func (e HealthCheckExpr) questions() []healthSource {
	all := []healthSource{
		{"inProgress", e.InProgress, HealthInProgress},
		{"failed", e.Failed, HealthFailed},
		{"current", e.Current, HealthCurrent},
	}
	return slices.DeleteFunc(all, func(q healthSource) bool { return q.source == "" })
}

// Judge asks of an object, as JSON decodes it, how it does. An object whose
// controller has not seen its newest generation is in progress, whatever the
// expressions would say. An error means that nobody knows, as where an expression
// reads a field that is not there; a status that is not there at all has no fields.
func (c *HealthCheck) Judge(object map[string]any) (ObjectHealth, error) {
	if unobserved(object) {
		return HealthInProgress, nil
	}
	if _, has := object["status"]; !has {
		object = maps.Clone(object)
		object["status"] = map[string]any{}
	}
	for _, q := range c.asked {
		said, _, err := q.program.Eval(object)
		if err != nil {
			return "", fmt.Errorf("the expression %q cannot tell: %w", q.name, err)
		}
		yes, ok := said.(types.Bool)
		if !ok {
			return "", fmt.Errorf("the expression %q gives %s, neither true nor false", q.name, said.Type().TypeName())
		}
		if yes {
			return q.verdict, nil
		}
	}
	return HealthInProgress, nil
}

// unobserved tells whether an object says that its controller has seen another
// generation of it than this one.
func unobserved(object map[string]any) bool {
	metadata, _ := object["metadata"].(map[string]any)
	status, _ := object["status"].(map[string]any)
	generation, known := metadata["generation"].(int64)
	observed, said := status["observedGeneration"].(int64)
	return known && said && generation != observed
}

// healthLanguage is the CEL that expressions are written in, without their variables.
var healthLanguage = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.HomogeneousAggregateLiterals(),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(), ext.Sets(), ext.Encoders(),
	)
})

// compileHealth compiles one expression. Any name that the language does not have is
// taken for a field of the object, as objects of custom kinds may have any.
func compileHealth(source string) (cel.Program, error) {
	language, err := healthLanguage()
	if err != nil {
		return nil, fmt.Errorf("cannot be compiled: %w", err)
	}
	parsed, issues := language.Parse(source)
	if issues.Err() != nil {
		return nil, notCEL(issues)
	}
	names := map[string]bool{}
	celast.PreOrderVisit(parsed.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() == celast.IdentKind {
			names[e.AsIdent()] = true
		}
	}))
	var fields []cel.EnvOption
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if _, known := language.CELTypeProvider().FindIdent(name); !known && !strings.HasPrefix(name, "@") {
			fields = append(fields, cel.Variable(name, cel.DynType))
		}
	}
	env, err := language.Extend(fields...)
	if err != nil {
		return nil, fmt.Errorf("cannot be compiled: %w", err)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, notCEL(issues)
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("gives a value of type %s, neither true nor false", t)
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(healthCost))
	if err != nil {
		return nil, fmt.Errorf("cannot be compiled: %w", err)
	}
	return program, nil
}

// notCEL says in one line what is wrong with an expression, and where.
func notCEL(issues *cel.Issues) error {
	first := issues.Errors()[0]
	message, _, _ := strings.Cut(first.Message, "\n")
	message, _, _ = strings.Cut(message, " expecting {") // every token of the language
	message = strings.TrimSuffix(message, " (in container '')")
	return fmt.Errorf("is no expression in CEL: line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, message)
}
