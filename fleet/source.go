package fleet

import "fmt"

// String names a source for people: its path, or the files of its objects.
func (s Source) String() string {
	if s.Path != "" || len(s.Objects) == 0 {
		return s.Path
	}
	more := 0
	last := s.Objects[0].File
	for _, o := range s.Objects { // by file
		if o.File != last {
			more, last = more+1, o.File
		}
	}
	if more == 0 {
		return last
	}
	return fmt.Sprintf("%s and %d more", s.Objects[0].File, more)
}
