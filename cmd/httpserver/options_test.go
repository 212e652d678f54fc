package main

import (
	"slices"
	"strings"
	"testing"
)

// The table of options in the README says what the help says.
func TestReadmeOptions(t *testing.T) {
	t.Parallel()
	table := "| option | |\n|---|---|\n"
	for _, line := range slices.Concat(pythonHelp, otherHelp) {
		table += "| `" + line.arguments + "` | " + line.text + " |\n"
	}
	if !strings.Contains(string(readFile(t, "../../README.md")), "\n\n"+table+"\n") {
		t.Errorf("the README has another table than this:\n%s", table)
	}
}

// Each option has the function for as many values as the help names.
func TestOptionValues(t *testing.T) {
	t.Parallel()
	for _, opt := range known {
		var got []int
		if opt.setFlag != nil {
			got = append(got, 0)
		}
		if opt.set != nil {
			got = append(got, 1)
		}
		if opt.setPair != nil {
			got = append(got, 2)
		}
		if want := len(strings.Fields(opt.argument)); !slices.Equal(got, []int{want}) {
			t.Errorf("%v: functions for %d values, want one for %d", &opt, got, want)
		}
	}
}
