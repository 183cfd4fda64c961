// Renders a chart as Helm does, with Go's own text/template and sprig: a stand-in where there is no helm. Reads requests from
// standard input, one JSON object a line, and answers each with one line.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type request struct {
	// Values of the user, laid over the chart's own.
	Values      map[string]interface{} `json:"values"`
	Release     string                 `json:"release"`
	Namespace   string                 `json:"namespace"`
	APIVersions []string               `json:"apiVersions"`
}

type answer struct {
	Values map[string]interface{} `json:"values"`
	Files  map[string]string      `json:"files,omitempty"`
	Error  string                 `json:"error,omitempty"`
}

type chart struct {
	name    string
	meta    map[string]interface{}
	values  []byte
	sources map[string]string
}

// Has is what templates ask .Capabilities.APIVersions.
type apiVersions []string

func (versions apiVersions) Has(wanted string) bool {
	for _, version := range versions {
		if version == wanted {
			return true
		}
	}
	return false
}

func load(folder string) (*chart, error) {
	about, err := os.ReadFile(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return nil, err
	}
	plain := map[string]interface{}{}
	if err := yaml.Unmarshal(about, &plain); err != nil {
		return nil, err
	}
	meta := map[string]interface{}{}
	for key, value := range plain {
		meta[strings.ToUpper(key[:1])+key[1:]] = value
	}
	values, err := os.ReadFile(filepath.Join(folder, "values.yaml"))
	if err != nil {
		return nil, err
	}
	name, _ := plain["name"].(string)
	loaded := &chart{name: name, meta: meta, values: values, sources: map[string]string{}}
	root := filepath.Join(folder, "templates")
	return loaded, filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		relative, _ := filepath.Rel(folder, file)
		loaded.sources[path.Join(name, filepath.ToSlash(relative))] = string(text)
		return err
	})
}

// Maps are merged key by key, null takes a default away, everything else replaces it.
func overlay(base, over map[string]interface{}) map[string]interface{} {
	merged := map[string]interface{}{}
	for key, value := range base {
		merged[key] = value
	}
	for key, value := range over {
		before, isMap := merged[key].(map[string]interface{})
		after, staysMap := value.(map[string]interface{})
		switch {
		case value == nil:
			delete(merged, key)
		case isMap && staysMap:
			merged[key] = overlay(before, after)
		default:
			merged[key] = value
		}
	}
	return merged
}

func toYAML(value interface{}) string {
	text, err := yaml.Marshal(value)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}

func fromText(unmarshal func([]byte, interface{}) error) func(string) map[string]interface{} {
	return func(text string) map[string]interface{} {
		value := map[string]interface{}{}
		if err := unmarshal([]byte(text), &value); err != nil {
			value["Error"] = err.Error()
		}
		return value
	}
}

func functions(all *template.Template) template.FuncMap {
	funcs := sprig.TxtFuncMap()
	delete(funcs, "env")
	delete(funcs, "expandenv")
	depth := map[string]int{}
	funcs["include"] = func(name string, data interface{}) (string, error) {
		if depth[name]++; depth[name] > 1000 {
			return "", fmt.Errorf("%s includes itself", name)
		}
		defer func() { depth[name]-- }()
		var out strings.Builder
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	funcs["tpl"] = func(text string, data interface{}) (string, error) {
		own, err := all.Clone()
		if err != nil {
			return "", err
		}
		parsed, err := own.New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		var out strings.Builder
		err = parsed.Execute(&out, data)
		return strings.ReplaceAll(out.String(), "<no value>", ""), err
	}
	funcs["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	funcs["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return value, errors.New(message)
		}
		return value, nil
	}
	funcs["toYaml"] = toYAML
	funcs["toJson"] = func(value interface{}) string {
		text, _ := json.Marshal(value)
		return string(text)
	}
	funcs["fromYaml"] = fromText(func(text []byte, value interface{}) error { return yaml.Unmarshal(text, value) })
	funcs["fromJson"] = fromText(json.Unmarshal)
	return funcs
}

func (c *chart) render(asked request) (answer, error) {
	defaults := map[string]interface{}{}
	if err := yaml.Unmarshal(c.values, &defaults); err != nil {
		return answer{}, err
	}
	values := overlay(defaults, asked.Values)
	shown := answer{Values: values, Files: map[string]string{}}
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(functions(all))
	for name, text := range c.sources {
		if _, err := all.New(name).Parse(text); err != nil {
			return shown, err
		}
	}
	for name := range c.sources {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		data := map[string]interface{}{
			"Values":       values,
			"Chart":        c.meta,
			"Release":      map[string]interface{}{"Name": asked.Release, "Namespace": asked.Namespace, "Service": "Helm", "IsInstall": true, "Revision": 1},
			"Capabilities": map[string]interface{}{"APIVersions": apiVersions(asked.APIVersions)},
			"Template":     map[string]interface{}{"Name": name, "BasePath": c.name + "/templates"},
		}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, name, data); err != nil {
			return shown, err
		}
		text := strings.ReplaceAll(out.String(), "<no value>", "")
		if err := parses(name, text); err != nil {
			return shown, err
		}
		shown.Files[path.Base(name)] = text
	}
	return shown, nil
}

// Go's YAML is stricter in places than others: what Helm could not read is no rendering.
func parses(name, text string) error {
	if path.Ext(name) != ".yaml" {
		return nil
	}
	for _, document := range strings.Split("\n"+text, "\n---") {
		object := map[string]interface{}{}
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, document)
		}
	}
	return nil
}

func main() {
	loaded, err := load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 4<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		asked := request{}
		shown := answer{}
		if err = json.Unmarshal(lines.Bytes(), &asked); err == nil {
			shown, err = loaded.render(asked)
		}
		if err != nil {
			shown = answer{Values: shown.Values, Error: err.Error()}
		}
		if err = out.Encode(shown); err != nil {
			os.Exit(1)
		}
	}
}
