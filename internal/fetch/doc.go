// Package fetch gets keys and metadata over HTTP from servers that may be slow,
// broken or hostile. Whatever they send, a Get ends by its deadline, reads no
// more than MaxBytes after decompression, stays at the origin it was sent to,
// keeps no cookie, and takes only the status and the content types asked for.
//
// Discover finds the metadata of an issuer (OpenID Connect Discovery 1.0, RFC
// 8414) and believes it only if it names exactly that issuer. RetryAfter and
// CacheLifetime read the response headers of that name, clamped.
//
// Errors tell what happened and where: scheme, host and path, never userinfo, a
// query, or text that the server sent. The cause is kept for errors.Is and
// errors.As; its own text may hold such things.
//
// What is not done here: nothing is retried, cached or shared between callers
// (see internal/flight), and the content of a body is not looked at, metadata
// apart.
package fetch
