module github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule

go 1.26.0

require github.com/gatehouse-auth/gatehouse v0.0.0

require github.com/google/cel-go v0.31.0 // indirect

replace github.com/gatehouse-auth/gatehouse => ../..
