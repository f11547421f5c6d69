// Package hub watches a Git repository of app definitions and tells every member
// cluster what to run. It is steps 1 to 8 of one git push, and [Run] reads like
// them; step 14 and 15, the view and the dashboard, run beside.
//
//	1 fetch      hub/repo        commit and its tree
//	2 load       fleet.Load      definition, or every problem with file and line
//	3 decide     fleet.Decide    which cluster gets which app, and why
//	4 render     overlays.Render one overlay per app and distinct outcome
//	5 build      overlays.Render what does not build is never announced
//	6 diff       fleet.Diff      what changes where, and whether a person must agree
//	7 put        hub/artifacts   content by digest
//	8 announce   wire/natsconn   one signed message per changed cluster
//
// Git is the truth. Everything else that the hub keeps can be derived again from
// a commit and the reports of the agents, except its identity folder.
package hub
