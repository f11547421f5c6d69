# Counts the cases in what `go test -json` prints: those that passed, those that
# failed, and those that were skipped because they are on a list of deviations.
function field(name,    at) {
	at = match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")
	return at ? substr($0, at + length(name) + 4, RLENGTH - length(name) - 5) : ""
}

{
	action = field("Action")
	package = field("Package")
	gsub(/\//, ".", package)
	test = package " " field("Test")
	if (action == "output" || action == "build-output") {
		text = field("Output")
		gsub(/\\n/, "\n", text); gsub(/\\t/, "\t", text); gsub(/\\"/, "\"", text); gsub(/\\\\/, "\\", text)
		output[test] = output[test] text
	}
	if (action == "build-output") {
		printf "%s", text
	}
	if (action != "pass" && action != "fail" && action != "skip") {
		next
	}
	result[test] = action
	for (rest = test; match(rest, /.*\//); ) {
		rest = substr(rest, 1, RLENGTH - 1)
		parent[rest] = 1
	}
}

END {
	for (test in result) {
		if (result[test] == "fail" && !(test in parent)) {
			printf "%s", output[test]
		}
		if (test in parent || test ~ / $/) {
			broken += result[test] == "fail" && test ~ / $/
			continue
		}
		if (result[test] == "skip" && test !~ /\//) {
			missing++
			continue
		}
		count[result[test]]++
	}
	if (missing) {
		print missing " tests found no cases: set KARMADA_VECTORS to their folder"
	}
	printf "%d passed, %d failed, %d deviations\n", count["pass"], count["fail"], count["skip"]
	exit missing || broken || count["fail"] || !count["pass"]
}
