package strictjson

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	members := func(n int) string { return "{" + strings.TrimSuffix(manyMembers(n), ",") + "}" }
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"object":                    {`{"a":1,"b":[true,false,null,-1.5e3,"x"],"c":{}}`, true},
		"white space":               {" \t\r\n{ \"a\" : [ 1 , 2 ] }\n", true},
		"scalar":                    {`"x"`, true},
		"same name in two objects":  {`{"a":{"x":1},"b":{"x":1}}`, true},
		"names that differ in case": {`{"a":1,"A":2}`, true},
		"escaped quote and slash":   {`{"a\"}":"\\","b":"]"}`, true},
		"escaped pair":              {`"\ud83d\ude00"`, true},
		"two escaped pairs":         {`"\ud83d\ude00\ud83d\ude00"`, true},
		"escaped backslash, then u": {`"\\ud83d"`, true},
		"32 levels":                 {strings.Repeat("[", 32) + strings.Repeat("]", 32), true},
		"1000 members":              {members(1000), true},
		"1000 elements":             {"[" + strings.TrimSuffix(strings.Repeat("1,", 1000), ",") + "]", true},

		"empty":                             {``, false},
		"white space only":                  {` `, false},
		"two values":                        {`{} {}`, false},
		"trailing comma":                    {`{"a":1,}`, false},
		"comment":                           {`{"a":1}//`, false},
		"byte order mark":                   {"\ufeff{}", false},
		"raw control":                       {"\"\x01\"", false},
		"invalid UTF-8":                     {"{\"a\":\"\xff\"}", false},
		"UTF-8 surrogate":                   {"\"\xed\xa0\x80\"", false},
		"overlong UTF-8":                    {"\"\xc0\xaf\"", false},
		"duplicate":                         {`{"a":1,"a":1}`, false},
		"duplicate, escaped":                {`{"sub":1,"\u0073ub":1}`, false},
		"duplicate, deep":                   {`[{"x":{"a":1,"b":2,"a":3}}]`, false},
		"duplicate of the empty name":       {`{"":1,"":1}`, false},
		"NUL in a name":                     {`{"sub\u0000":1}`, false},
		"high surrogate alone":              {`"\ud83d"`, false},
		"high surrogate, then text":         {`"\ud83dxxxxxx"`, false},
		"high surrogate, then another":      {`"\ud83d\ud83d"`, false},
		"high surrogate, then a plain unit": {`"\ud83d\u0041"`, false},
		"low surrogate alone":               {`"\ude00"`, false},
		"pair the wrong way round":          {`"\ude00\ud83d"`, false},
		"surrogate in a name":               {`{"\ud83d":1}`, false},
		"33 levels":                         {strings.Repeat("[", 33) + strings.Repeat("]", 33), false},
		"33 levels of objects":              {strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), false},
		"100,000 levels":                    {strings.Repeat("[", 100_000), false},
		"1001 members":                      {members(1001), false},
		"1001 elements":                     {"[" + strings.TrimSuffix(strings.Repeat("1,", 1001), ",") + "]", false},
		"1002 in all":                       {`[[` + strings.TrimSuffix(strings.Repeat("1,", 500), ",") + `],{` + strings.TrimSuffix(manyMembers(500), ",") + `}]`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check([]byte(c.text)); (err == nil) != c.ok {
				t.Errorf("got %v, want accepted = %v", err, c.ok)
			}
		})
	}
}

// manyMembers are n members with distinct names and a comma after each.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":1,`, i)
	}
	return b.String()
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\ud83d\ude00",{"b":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) != nil {
			return
		}
		// What is accepted means the same to encoding/json, and says it again in the same length.
		var before, after any
		if err := json.Unmarshal(data, &before); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") {
			t.Fatalf("accepted, but: %v", err)
		}
		again, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &after); err != nil {
			t.Fatal(err)
		}
		if o, err := ParseObject(data); err == nil {
			var members map[string]json.RawMessage
			if err := json.Unmarshal(data, &members); err == nil && len(members) != len(o) {
				t.Fatalf("%d members, encoding/json sees %d", len(o), len(members))
			}
		}
	})
}

func TestDecodeMatchesNamesExactly(t *testing.T) {
	var v struct {
		Sub string `json:"sub"`
	}
	if err := Decode([]byte(`{"SUB":"a","ſub":"b"}`), &v); err != nil || v.Sub != "" {
		t.Errorf("got %q (%v), want a member of another name to be passed over", v.Sub, err)
	}
}
