// Package redislog is a revoke.Log on Redis.
package redislog
