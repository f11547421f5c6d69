package apply

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// hiddenValue stands in a message where a secret value was.
const hiddenValue = "(hidden)"

// window is how many bytes in a row a message and a secret value may have in common
// before they are hidden, where the message does not have the whole value: a message may
// repeat a part of one.
const window = 12

// word is the length of values that are hidden wherever they are whole words, and not
// inside of others: they could be anything.
const word = 4

// veil hides values in messages. It holds them as a message may have them: as they are,
// quoted, as JSON has them, and in base64.
type veil struct{ values []string }

func newVeil(secrets []string) veil {
	forms := map[string]bool{}
	for _, secret := range secrets {
		encoded, _ := json.Marshal(secret) // strings only
		quoted := strconv.Quote(secret)
		for _, form := range []string{secret, strings.TrimSpace(secret), quoted[1 : len(quoted)-1], string(encoded[1 : len(encoded)-1]), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if form != "" {
				forms[form] = true
			}
		}
	}
	v := veil{}
	for form := range forms {
		v.values = append(v.values, form)
	}
	slices.Sort(v.values)
	return v
}

// over returns a message without anything of the values.
func (v veil) over(message string) string {
	hidden := make([]bool, len(message))
	at := map[string][]int{} // windows of the message
	for i := 0; i+window <= len(message); i++ {
		at[message[i:i+window]] = append(at[message[i:i+window]], i)
	}
	hide := func(start, length int) {
		for i := start; i < start+length; i++ {
			hidden[i] = true
		}
	}
	for _, value := range v.values {
		if len(value) < window {
			for _, start := range occurrences(message, value) {
				hide(start, len(value))
			}
			continue
		}
		for i := 0; i+window <= len(value); i++ {
			for _, start := range at[value[i:i+window]] {
				hide(start, window)
			}
		}
	}
	var b strings.Builder
	for i := range len(message) {
		switch {
		case !hidden[i]:
			b.WriteByte(message[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(hiddenValue)
		}
	}
	return strings.ToValidUTF8(b.String(), "")
}

// occurrences returns where a short value begins in a message; one that is very short
// only where it is a word.
func occurrences(message, value string) []int {
	var starts []int
	for from := 0; ; {
		i := strings.Index(message[from:], value)
		if i < 0 {
			return starts
		}
		start, end := from+i, from+i+len(value)
		from = start + 1
		if len(value) < word && (endsInWord(message[:start]) || beginsWithWord(message[end:])) {
			continue
		}
		starts = append(starts, start)
	}
}

func endsInWord(text string) bool {
	runes := []rune(text)
	return len(runes) > 0 && isWord(runes[len(runes)-1])
}

func beginsWithWord(text string) bool {
	for _, r := range text {
		return isWord(r)
	}
	return false
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
