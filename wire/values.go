package wire

// maxValues is how many values the JSON of a report may hold, which is enough for some
// thirty thousand objects. In memory a value takes up to forty times what it takes in
// JSON: a message of a few kilobytes could claim gigabytes.
const maxValues = 400_000

// countValues returns at least how many values a JSON text holds, and at most twice that,
// or some number above most when there are more. Text that is no JSON has some number
// too: whoever decodes it says so.
func countValues(text []byte, most int) int {
	count, quoted := 1, false
	for i := 0; i < len(text) && count <= most; i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && (c == ',' || c == '[' || c == '{'):
			count++
		}
	}
	return count
}
