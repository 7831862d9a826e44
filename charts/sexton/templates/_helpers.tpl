{{/* The name is the same in every release: an agent per node is what the lock on the node allows. */}}
{{- define "sexton.name" -}}sexton-agent{{- end }}

{{- define "sexton.selector" -}}
app.kubernetes.io/name: sexton
app.kubernetes.io/component: agent
{{- end }}

{{- define "sexton.labels" -}}
app.kubernetes.io/name: sexton
app.kubernetes.io/component: agent
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sexton.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "sexton.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "sexton.name" . }}
{{- end }}

{{/* "true" where the agent acts as its own node by constrained impersonation (KEP-5284). */}}
{{- define "sexton.impersonates" -}}
{{- $how := .Values.rights.impersonation -}}
{{- if or (eq $how "always") (and (eq $how "auto") (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version)) -}}
true
{{- end }}
{{- end }}
