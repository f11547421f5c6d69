package main

import (
	"context"
	"slices"
)

// stage is a fleet and what is measured on it, in this order. The first scenario
// brings the apps that the others need, so it is never left out.
type stage struct {
	members   []string
	apps      int
	scenarios []scenario
}

type scenario struct {
	name scenarioName
	run  func(*bench, context.Context) error
}

// scenarioName is what --only takes.
type scenarioName string

var stages = []stage{
	{members: []string{"one", "two", "three"}, apps: 100, scenarios: []scenario{
		{"install", (*bench).install},
		{"one", (*bench).changeOne},
		{"all", (*bench).changeAll},
		{"nothing", (*bench).changeNothing},
		{"repair", (*bench).repair},
		{"agents", (*bench).restartAgents},
		{"hub", (*bench).restartHub},
		{"lost", (*bench).loseHub},
		{"idle", (*bench).rest},
		{"ready", (*bench).becomeReady},
	}},
	{members: []string{"one"}, apps: 1000, scenarios: []scenario{
		{"thousand", (*bench).install},
	}},
	{members: []string{"one"}, apps: 500, scenarios: []scenario{
		{"half", (*bench).install},
		{"crowd", (*bench).crowd},
	}},
}

func scenarioNames() []string {
	var names []string
	for _, stage := range stages {
		for _, s := range stage.scenarios {
			names = append(names, string(s.name))
		}
	}
	return names
}

func isScenario(name scenarioName) bool { return slices.Contains(scenarioNames(), string(name)) }

// wanted tells whether any of the stage's scenarios is to be measured.
func (s stage) wanted(only map[scenarioName]bool) bool {
	return len(only) == 0 || slices.ContainsFunc(s.scenarios, func(s scenario) bool { return only[s.name] })
}
