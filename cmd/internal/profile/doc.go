// Package profile lets a person on the machine of a running hub or agent look at
// what it spends its time and memory on.
package profile
