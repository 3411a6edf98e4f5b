// Command tools reads the files of deploy/ by the code that their real readers use:
//
//	tools dockerfile <Dockerfile> <folder>   BuildKit's parser: the steps of the image, and what they may copy, as JSON
//	tools compose <files>                    Compose's loader: the project as it is run, as JSON
//	tools resources <CRDs> < resources       the API server's checks of custom resources: what is wrong, one per line
//
// Both of the last exit with 1 if something is wrong. Helm is built from the same module: `go tool helm`.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 3 && arguments[0] == "dockerfile":
		return print(readDockerfile(arguments[1], arguments[2]))
	case len(arguments) >= 2 && arguments[0] == "compose":
		return print(readCompose(arguments[1:]))
	case len(arguments) >= 2 && arguments[0] == "resources":
		return checkResources(arguments[1:], os.Stdin)
	}
	return fmt.Errorf("usage: see main.go")
}

func print(value any, err error) error {
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(value)
}
