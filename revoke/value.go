package revoke

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Claims are the verified claims of a token. A *jwtvalidate.Claims has this method,
// as does anything of the same shape. Values are string, bool, nil, json.Number or
// a Go number, []any and map[string]any; they are only read. While there is a record
// of KindKey, the dynamic value must have KeyThumbprint() string as well, empty for
// claims that no key has signed: without it, it cannot be told.
type Claims = interface {
	Get(name string) (any, bool)
}

// appendValue appends a claim's value in a form that no other value has. False:
// an object, a list or nil, which no rule names. An identifier is one whether it
// is written as a string or as a number.
func appendValue(b []byte, v any, identifier bool) ([]byte, bool) {
	var text string
	kind := byte('s')
	switch v := v.(type) {
	case string:
		text = v
	case bool:
		kind, text = 'b', strconv.FormatBool(v)
	default:
		if named := reflect.ValueOf(v); named.Kind() == reflect.String && named.Type() != reflect.TypeFor[json.Number]() {
			text = named.String()
			break
		}
		var ok bool
		if text, ok = number(v); !ok {
			return b, false
		}
		text = canonical(text)
		kind = 'n'
	}
	if identifier {
		if text == "" || kind == 'b' {
			return b, false
		}
		kind = 's'
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...), true
}

// number is the decimal text of what may stand for a JSON number.
func number(v any) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return string(v), v != ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), !math.IsInf(v, 0) && !math.IsNaN(v)
	case int64:
		return strconv.FormatInt(v, 10), true
	case int:
		return strconv.Itoa(v), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	}
	switch v := reflect.ValueOf(v); v.Kind() { //nolint:exhaustive // the numbers that are left
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float32:
		return number(v.Float())
	}
	return "", false
}

// elements has the elements of a list, of whatever Go type.
func elements(v any) ([]any, bool) {
	if list, ok := v.([]any); ok {
		return list, true
	}
	switch v.(type) {
	case string, bool, json.Number, float64, int64, nil, map[string]any:
		return nil, false
	}
	of := reflect.ValueOf(v)
	if of.Kind() != reflect.Slice {
		return nil, false
	}
	list := make([]any, of.Len())
	for i := range list {
		list[i] = of.Index(i).Interface()
	}
	return list, true
}

// isInteger reports whether text is an integer as JSON writes it, but not -0.
func isInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return digits != "" && (digits[0] != '0' || text == "0")
}

// maxPlain is how many digits an integer is spelt with.
const maxPlain = 64

// canonical spells equal numbers alike: 1, 1.0 and 10e-1 are one. It makes no number
// of the text, so that no exponent is too much.
func canonical(text string) string {
	if len(text) <= maxPlain && isInteger(text) {
		return text
	}
	mantissa, power := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		e, err := strconv.ParseInt(text[i+1:], 10, 32)
		if err != nil {
			return text
		}
		mantissa, power = text[:i], int(e)
	}
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = whole + fraction
	if strings.Trim(digits, "0123456789") != "" || digits == "" {
		return text
	}
	digits = strings.TrimLeft(digits, "0")
	short := strings.TrimRight(digits, "0")
	power += len(digits) - len(short) - len(fraction)
	switch {
	case short == "":
		return "0"
	case power >= 0 && len(short)+power <= maxPlain:
		short += strings.Repeat("0", power)
	default:
		short += "e" + strconv.Itoa(power)
	}
	if negative {
		return "-" + short
	}
	return short
}

// rational reads a number exactly. It is bounded before big numbers are made.
func rational(text string) (*big.Rat, bool) {
	if len(text) > 64 || text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') || strings.ContainsAny(text, "/_xXpPbBoO") {
		return nil, false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e < -64 || e > 64 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(text)
}

// instant is a NumericDate (RFC 7519 section 2) in nanoseconds; whole if it has no
// fraction of a second.
type instant struct {
	ns    int64
	whole bool
}

// The seconds that have nanoseconds in an int64: the years 1678 to 2262.
const maxSeconds = math.MaxInt64 / int64(time.Second)

// instantOf reads a claim exactly. False: it is absent, or no date.
func instantOf(claims Claims, name string) (instant, bool) {
	v, ok := claims.Get(name)
	if !ok {
		return instant{}, false
	}
	text, ok := number(v)
	if !ok {
		return instant{}, false
	}
	if sec, ok := seconds(text); ok {
		return instant{sec * int64(time.Second), true}, true
	}
	if isInteger(text) {
		sec, err := strconv.ParseInt(text, 10, 64)
		return instant{sec * int64(time.Second), true}, err == nil && sec > -maxSeconds && sec < maxSeconds
	}
	if at, ok := decimal(text); ok {
		return at, true
	}
	r, ok := rational(text)
	if !ok {
		return instant{}, false
	}
	nanos := new(big.Int).Mul(r.Num(), big.NewInt(int64(time.Second)))
	nanos.Div(nanos, r.Denom()) // rounds down
	return instant{nanos.Int64(), r.IsInt()}, nanos.IsInt64()
}

// seconds reads what almost every date is: ten digits.
func seconds(text string) (sec int64, ok bool) {
	if len(text) != 10 || text[0] == '0' {
		return 0, false
	}
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 {
			return 0, false
		}
		sec = sec*10 + int64(digit)
	}
	return sec, sec < maxSeconds
}

// decimal reads the usual fraction, such as 1800000000.25, without allocation.
func decimal(text string) (instant, bool) {
	whole, fraction, found := strings.Cut(text, ".")
	if !found || !isInteger(whole) || whole[0] == '-' || fraction == "" {
		return instant{}, false
	}
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec >= maxSeconds {
		return instant{}, false
	}
	at, unit := instant{sec * int64(time.Second), true}, int64(time.Second)
	for i := range len(fraction) {
		digit := fraction[i]
		if digit < '0' || digit > '9' {
			return instant{}, false
		}
		unit /= 10 // zero, behind the nanoseconds
		at.ns += int64(digit-'0') * unit
		at.whole = at.whole && digit == '0'
	}
	return at, true
}
