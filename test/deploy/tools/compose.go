package main

import (
	"context"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// readCompose reads a file, and those that change it; with the services of all profiles.
func readCompose(paths []string) (*types.Project, error) {
	options, err := cli.NewProjectOptions(paths, cli.WithResolvedPaths(true), cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}
