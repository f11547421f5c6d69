package fleet

import (
	"regexp"
	"strings"
)

// TrailerAllowDeletions is the trailer of a commit message by which its author
// agrees to what the commit deletes: "Navarch-Allow-Deletions: yes".
const TrailerAllowDeletions = "Navarch-Allow-Deletions"

// trailerLine is a line of a block of trailers: a token and a value.
var trailerLine = regexp.MustCompile(`^([A-Za-z0-9-]+)\s*:\s*(.*?)\s*$`)

var emptyLine = regexp.MustCompile(`\n[ \t]*\n`)

// AllowsDeletions tells whether a commit message has the trailer
// [TrailerAllowDeletions] with the value yes. Trailers are the last paragraph after
// the subject, and that paragraph holds nothing else: what a message merely quotes
// agrees to nothing, and neither does one that says both yes and no.
func AllowsDeletions(message string) bool {
	message = strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n"))
	paragraphs := emptyLine.Split(message, -1)
	if len(paragraphs) < 2 {
		return false
	}
	allows := false
	for line := range strings.SplitSeq(paragraphs[len(paragraphs)-1], "\n") {
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "(cherry picked from ") {
			continue // the rest of a long value, or what git adds
		}
		parts := trailerLine.FindStringSubmatch(line)
		if parts == nil {
			return false
		}
		if strings.EqualFold(parts[1], TrailerAllowDeletions) {
			if !strings.EqualFold(parts[2], "yes") {
				return false
			}
			allows = true
		}
	}
	return allows
}
