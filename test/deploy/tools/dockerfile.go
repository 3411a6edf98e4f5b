package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

type dockerfile struct {
	// Files of the folder that COPY can see.
	Context []string          `json:"context"`
	Args    map[string]string `json:"args"`
	Stages  []stage           `json:"stages"`
}

type stage struct {
	Name  string `json:"name"`
	Base  string `json:"base"`
	Steps []step `json:"steps"`
}

type step struct {
	Name string `json:"name"`
	// What RUN runs in a shell, or the words of ENTRYPOINT, CMD and HEALTHCHECK, the value of USER and WORKDIR.
	Words []string `json:"words,omitempty"`
	// Of COPY.
	From    string   `json:"from,omitempty"`
	Sources []string `json:"sources,omitempty"`
	Target  string   `json:"target,omitempty"`
	Owner   string   `json:"owner,omitempty"`
	// Of ENV.
	Variables map[string]string `json:"variables,omitempty"`
}

func readDockerfile(path, folder string) (*dockerfile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil, err
	}
	stages, metaArgs, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, err
	}
	found := &dockerfile{Args: map[string]string{}}
	for _, command := range metaArgs {
		for _, arg := range command.Args {
			found.Args[arg.Key] = arg.ValueString()
		}
	}
	for _, each := range stages {
		read := stage{Name: each.Name, Base: each.BaseName}
		for _, command := range each.Commands {
			step, err := stepOf(command)
			if err != nil {
				return nil, err
			}
			read.Steps = append(read.Steps, step)
		}
		found.Stages = append(found.Stages, read)
	}
	found.Context, err = contextOf(folder)
	return found, err
}

// What a replay does not know is an error, so that no step is left out in silence.
func stepOf(command instructions.Command) (step, error) {
	read := step{Name: command.Name()}
	switch command := command.(type) {
	case *instructions.WorkdirCommand:
		read.Words = []string{command.Path}
	case *instructions.UserCommand:
		read.Words = []string{command.User}
	case *instructions.RunCommand:
		read.Words = command.CmdLine
	case *instructions.EntrypointCommand:
		read.Words = command.CmdLine
	case *instructions.CmdCommand:
		read.Words = command.CmdLine
	case *instructions.HealthCheckCommand:
		read.Words = command.Health.Test
	case *instructions.ExposeCommand:
		read.Words = command.Ports
	case *instructions.CopyCommand:
		read.From, read.Sources, read.Target = command.From, command.SourcePaths, command.DestPath
		read.Owner = command.Chown
	case *instructions.EnvCommand:
		read.Variables = map[string]string{}
		for _, pair := range command.Env {
			read.Variables[pair.Key] = pair.Value
		}
	default:
		return read, fmt.Errorf("the replay does not know %s", command.Name())
	}
	return read, nil
}

// The files that .dockerignore lets through.
func contextOf(folder string) ([]string, error) {
	file, err := os.Open(filepath.Join(folder, ".dockerignore"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, err
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	files := []string{}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			// Nothing in them is copied, and they are large.
			if name == "node_modules" || name == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		ignored, err := matcher.MatchesOrParentMatches(name)
		if err == nil && !ignored {
			files = append(files, name)
		}
		return err
	})
	return files, err
}
