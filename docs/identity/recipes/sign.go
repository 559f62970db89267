// Proofs of identity for Belfry in Go, with nothing but its standard library.
//
//	BELFRY_PUBLIC_KEY=pk_… BELFRY_IDENTITY_SECRET=isk_… go run sign.go FORM ARGUMENTS
//
//	plain ID            v2-subscriber ID SECONDS
//	base64 ID           v2-traits ID SECONDS NAME=VALUE …
//	dotted ID SECONDS   v2-company ID COMPANY SECONDS
//
// SECONDS is Unix time: time.Now().Unix().
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

var publicKey = os.Getenv("BELFRY_PUBLIC_KEY")
var secret = os.Getenv("BELFRY_IDENTITY_SECRET")

// checked refuses what is not an id: one with a line feed in it could say more than an id.
func checked(id string) string {
	if id == "" || len(id) > 255 || !utf8.ValidString(id) || strings.IndexFunc(id, unicode.IsControl) >= 0 {
		fail("not an id")
	}
	return id
}

func mac(lines ...string) []byte {
	hash := hmac.New(sha256.New, []byte(secret))
	hash.Write([]byte(strings.Join(lines, "\n")))
	return hash.Sum(nil)
}

// canonical writes canonical JSON (RFC 8785) of flat traits of text. encoding/json does not: it escapes <, >, & and two line separators,
// and sorts names by UTF-8 bytes where the RFC goes by UTF-16 code units. Numbers have rules of their own in the RFC; send them as text.
func canonical(traits map[string]string) string {
	names := make([]string, 0, len(traits))
	for name := range traits {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return lessUTF16(names[i], names[j]) })
	members := make([]string, 0, len(names))
	for _, name := range names {
		members = append(members, quote(name)+":"+quote(traits[name]))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func lessUTF16(left, right string) bool {
	a, b := utf16.Encode([]rune(left)), utf16.Encode([]rune(right))
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return len(a) < len(b)
}

var short = map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`}

func quote(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, char := range text {
		if escape, known := short[char]; known {
			out.WriteString(escape)
		} else if char < 0x20 {
			fmt.Fprintf(&out, `\u%04x`, char)
		} else {
			out.WriteRune(char)
		}
	}
	out.WriteByte('"')
	return out.String()
}

func digest(traits map[string]string) string {
	sum := sha256.Sum256([]byte(canonical(traits)))
	return hex.EncodeToString(sum[:])
}

func plain(id string) string           { return hex.EncodeToString(mac(checked(id))) }
func plainBase64(id string) string     { return base64.StdEncoding.EncodeToString(mac(checked(id))) }
func dotted(id, seconds string) string { return hex.EncodeToString(mac(checked(id) + "." + seconds)) }

func v2Subscriber(id, seconds string) string {
	return hex.EncodeToString(mac("v2:subscriber", publicKey, seconds, checked(id)))
}

func v2Traits(id, seconds string, traits map[string]string) string {
	return hex.EncodeToString(mac("v2:subscriber", publicKey, seconds, checked(id), digest(traits)))
}

func v2Company(id, company, seconds string) string {
	return hex.EncodeToString(mac("v2:company", publicKey, seconds, checked(id), checked(company)))
}

func main() {
	if len(secret) < 32 {
		fail("BELFRY_IDENTITY_SECRET is not set, or too short")
	}
	form, args := os.Args[1], os.Args[2:]
	switch form {
	case "plain":
		fmt.Println(plain(args[0]))
	case "base64":
		fmt.Println(plainBase64(args[0]))
	case "dotted":
		fmt.Println(dotted(args[0], args[1]))
	case "v2-subscriber":
		fmt.Println(v2Subscriber(args[0], args[1]))
	case "v2-traits":
		traits := map[string]string{}
		for _, pair := range args[2:] {
			name, value, _ := strings.Cut(pair, "=")
			traits[name] = value
		}
		fmt.Println(v2Traits(args[0], args[1], traits))
	case "v2-company":
		fmt.Println(v2Company(args[0], args[1], args[2]))
	default:
		fail("unknown form")
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}
