package celrule

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// Bounds of a text.
const (
	maxText    = 8 << 10 // bytes
	maxDepth   = 64
	maxNodes   = 4000
	maxNesting = 3   // macros in macros
	maxPattern = 500 // instructions of all patterns together
	maxName    = 80  // runes of a text that name the rule
)

// byName are the variables that are asked by name only: their values are not
// enumerated, so that no claim or header is copied that nobody asked for.
var byName = map[string]bool{"claims": true, "request.path_values": true, "request.query": true, "request.headers": true}

// language is what all texts are written in. It is made once: it takes longer than a rule.
var language = sync.OnceValues(func() (*cel.Env, error) {
	texts := cel.ListType(cel.StringType)
	env, err := cel.NewEnv(
		ext.Strings(ext.StringsVersion(0)),
		ext.Network(),
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("request.method", cel.StringType),
		cel.Variable("request.host", cel.StringType),
		cel.Variable("request.path", cel.StringType),
		cel.Variable("request.client_address", cel.StringType),
		cel.Variable("request.path_values", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("request.query", cel.MapType(cel.StringType, texts)),
		cel.Variable("request.headers", cel.MapType(cel.StringType, texts)),
		cel.EnableErrorOnBadPresenceTest(true), // has of what is no map cannot say
		cel.ParserExpressionSizeLimit(maxText),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserErrorRecoveryLimit(2),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
	)
	if err != nil {
		return nil, err
	}
	settle()
	return env.Extend(cel.CustomTypeAdapter(adapter{env.CELTypeAdapter()}))
})

// allowed are the functions beside operators. What is not here may read files, or
// make much of little, such as replace, or take long, such as indexOf; so may what a later version brings.
var allowed = set(
	"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint",
	"size", "contains", "startsWith", "endsWith", "matches",
	"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
	"getHours", "getMinutes", "getSeconds", "getMilliseconds",
	"charAt", "lowerAscii", "upperAscii", "split", "substring", "trim",
	"cidr", "containsIP", "ip", "isIP",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}
