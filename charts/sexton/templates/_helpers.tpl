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
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of one object beside those of all, for a map holds a key once: (list $ "values path" labels). */}}
{{- define "sexton.ownLabels" -}}
{{- range $key, $_ := index . 2 }}
{{- if hasKey (index $ 0).Values.commonLabels $key }}
{{- fail (printf "the label %s is in commonLabels and in %s: give it once" $key (index $ 1)) }}
{{- end }}
{{- end -}}
{{ toYaml (index . 2) }}
{{- end }}

{{- define "sexton.image" -}}
{{- if not .Values.image.repository }}
{{- fail (printf "image.repository is empty: there is no public image yet. Build the image, push it to your registry, and give its name:\n  make image && skopeo copy oci-archive:target/sexton.oci.tar docker://REGISTRY/sexton:%s\n  helm upgrade --install %s charts/sexton -n %s --set image.repository=REGISTRY/sexton" (.Values.image.tag | default .Chart.AppVersion) .Release.Name .Release.Namespace) }}
{{- end }}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "sexton.serviceAccount" -}}{{ .Values.serviceAccount.name | default (include "sexton.name" .) }}{{- end }}

{{- define "sexton.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "sexton.serviceAccount" . }}
{{- end }}

{{/* "true" where the agent acts as its own node by constrained impersonation (KEP-5284). */}}
{{- define "sexton.impersonates" -}}
{{- $how := .Values.rights.impersonation -}}
{{- if or (eq $how "always") (and (eq $how "auto") (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version)) -}}
true
{{- end }}
{{- end }}

{{/* agent.interval, refused here where the agent would refuse it: every pod would restart for ever. */}}
{{- define "sexton.interval" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $millis := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" .Values.agent.interval -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- /* "010" is ten, and not eight: atoi reads decimal. */ -}}
{{- $millis = add $millis (mul (trimSuffix $unit . | atoi) (get $units $unit)) -}}
{{- end -}}
{{- if or (lt $millis 100) (gt $millis 3600000) -}}
{{- fail (printf "agent.interval is %s: give a time from 100ms to 1h, like 10s" .Values.agent.interval) -}}
{{- end -}}
{{ .Values.agent.interval }}
{{- end }}
