package main

import (
	"fmt"
	"io"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

type definition struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
}

// Checks each resource whose kind is defined in `files`; a kind that none defines is an error, too.
func checkResources(files []string, resources io.Reader) error {
	definitions := map[string]definition{}
	for _, file := range files {
		if err := addDefinitions(definitions, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	wrong := 0
	decoder := utilyaml.NewYAMLOrJSONDecoder(resources, 4096)
	for {
		var resource unstructured.Unstructured
		if err := decoder.Decode(&resource); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if resource.Object == nil {
			continue
		}
		for _, problem := range problemsOf(definitions, &resource) {
			fmt.Printf("%s/%s: %s\n", resource.GetKind(), resource.GetName(), problem)
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d problem(s)", wrong)
	}
	return nil
}

func problemsOf(definitions map[string]definition, resource *unstructured.Unstructured) []string {
	kind := resource.GroupVersionKind().String()
	defined, ok := definitions[kind]
	if !ok {
		return []string{"no definition of " + kind}
	}
	problems := []string{}
	for _, err := range validation.ValidateCustomResource(nil, resource.Object, defined.validator) {
		problems = append(problems, err.Error())
	}
	options := schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, path := range pruning.PruneWithOptions(resource.DeepCopy().Object, defined.structural, true, options) {
		problems = append(problems, "unknown field "+path)
	}
	return problems
}

func addDefinitions(definitions map[string]definition, file string) error {
	bytes, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var external v1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(bytes, &external); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	for _, version := range external.Spec.Versions {
		var props apiextensions.JSONSchemaProps
		if err := scheme.Convert(version.Schema.OpenAPIV3Schema, &props, nil); err != nil {
			return err
		}
		structural, err := schema.NewStructural(&props)
		if err != nil {
			return err
		}
		validator, _, err := validation.NewSchemaValidator(&props)
		if err != nil {
			return err
		}
		kind := external.Spec.Group + "/" + version.Name + ", Kind=" + external.Spec.Names.Kind
		definitions[kind] = definition{structural, validator}
	}
	return nil
}
