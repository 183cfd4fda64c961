{{/* Names, labels, and the checks that a schema cannot make. */}}

{{- define "netsy.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{- define "netsy.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "netsy.name" . -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name -}}{{- else -}}{{- printf "%s-%s" .Release.Name $name -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "netsy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "netsy.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "netsy.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{ include "netsy.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | replace "@" "_" | replace ":" "_" | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{- define "netsy.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- /* A digest stands behind @. */ -}}
{{- printf "%s%s%s" .Values.image.repository (contains ":" $tag | ternary "@" ":") $tag -}}
{{- end -}}

{{- define "netsy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "netsy.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "netsy.serviceHost" -}}
{{- printf "%s.%s.svc.%s" (include "netsy.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "netsy.issuerName" -}}
{{- default (printf "%s-ca" (include "netsy.fullname" .)) .Values.tls.issuerRef.name -}}
{{- end -}}

{{- define "netsy.issuerRef" -}}
name: {{ include "netsy.issuerName" . }}
{{- if .Values.tls.issuerRef.name }}
kind: {{ .Values.tls.issuerRef.kind }}
group: {{ .Values.tls.issuerRef.group }}
{{- else }}
kind: Issuer
group: cert-manager.io
{{- end }}
{{- end -}}

{{- define "netsy.config" -}}
{{- tpl .Values.config . -}}
{{- end -}}

{{/*
The cluster file as JSON: a text is taken as a whole wherever it begins, so that // within it is no comment; the same
again for commas before a closing bracket.
*/}}
{{- define "netsy.configJson" -}}
{{- $text := `("(?:[^"\\]|\\.)*")` -}}
{{- $plain := regexReplaceAll (print $text `|//[^\r\n]*|(?s:/\*.*?\*/)`) (include "netsy.config" . | trimPrefix "\ufeff") "${1} " -}}
{{- regexReplaceAll (print $text `|,(\s*[}\]])`) $plain "${1}${2}" -}}
{{- end -}}

{{- define "netsy.isIdentifier" -}}
{{- if and (regexMatch `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$` .) (not (contains "--" .)) (le (len .) 32) -}}yes{{- end -}}
{{- end -}}

{{- define "netsy.checkClusterID" -}}
{{- $id := .Values.clusterID -}}
{{- if not (include "netsy.isIdentifier" $id) -}}
{{- fail (printf "clusterID is %q; allowed are 1 to 32 characters of a-z, 0-9 and -, no - at either end, no --" $id) -}}
{{- end -}}
{{- $json := include "netsy.configJson" . -}}
{{- $config := fromJson $json -}}
{{- if and (hasKey $config "Error") (not (contains `"Error"` $json)) -}}
{{- fail (printf "config is not JSON with comments: %s" $config.Error) -}}
{{- end -}}
{{- $found := false -}}
{{- range $key, $value := $config -}}
{{- if eq (lower $key) "cluster_id" -}}
{{- $found = true -}}
{{- if ne (toString $value) $id -}}
{{- fail (printf "clusterID is %q and the config's %s is %q; they must be the same, since the certificates name the cluster" $id $key (toString $value)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- fail (printf "clusterID is %q and the config has no cluster_id; it must have the same one" $id) -}}
{{- end -}}
{{- end -}}

{{/* A node's name stands in its certificates and keys of the bucket, and is at most 32 characters long. */}}
{{- define "netsy.checkNames" -}}
{{- $last := printf "%s-%d" (include "netsy.fullname" .) (max 0 (sub (int .Values.replicas) 1)) -}}
{{- if not (include "netsy.isIdentifier" $last) -}}
{{- fail (printf "the last pod would be called %q, with %d characters; node ids are 1 to 32 characters of a-z, 0-9 and -, no - at either end, no --. Choose another release name or set fullnameOverride" $last (len $last)) -}}
{{- end -}}
{{- end -}}

{{/* A variable named twice would silently be the last of the two. */}}
{{- define "netsy.checkExtraEnv" -}}
{{- $own := list "POD_NAME" "NETSY_CONFIG" "NETSY_NODE_ID" "NETSY_DATA_DIR" "NETSY_CLUSTER_ID" -}}
{{- range .Values.extraEnv -}}
{{- if or (has .name $own) (regexMatch `^NETSY_(BIND|ADVERTISE|TLS)_` .name) -}}
{{- fail (printf "extraEnv names %s, which the chart itself decides; use the chart's values" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Attributes of a volume of cert-manager's CSI driver that are the same for both certificates of a pod. */}}
{{- define "netsy.csiAttributes" -}}
csi.cert-manager.io/issuer-name: {{ include "netsy.issuerName" . | quote }}
{{- if .Values.tls.issuerRef.name }}
csi.cert-manager.io/issuer-kind: {{ .Values.tls.issuerRef.kind | quote }}
csi.cert-manager.io/issuer-group: {{ .Values.tls.issuerRef.group | quote }}
{{- else }}
csi.cert-manager.io/issuer-kind: Issuer
csi.cert-manager.io/issuer-group: cert-manager.io
{{- end }}
csi.cert-manager.io/common-name: "${POD_NAME}"
csi.cert-manager.io/uri-sans: {{ printf "netsy://%s/peer/${POD_NAME}" .Values.clusterID | quote }}
csi.cert-manager.io/duration: {{ .Values.tls.duration | quote }}
csi.cert-manager.io/renew-before: {{ .Values.tls.renewBefore | quote }}
{{- /* The driver writes as root, and the kubelet does not change the group of its volumes. */}}
{{- with (.Values.podSecurityContext | default dict).fsGroup }}
csi.cert-manager.io/fs-group: {{ int64 . | quote }}
{{- end }}
csi.cert-manager.io/ca-file: ca.crt
{{- end -}}
