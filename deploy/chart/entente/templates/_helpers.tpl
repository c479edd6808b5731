{{- define "entente.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of the three parts. */}}
{{- define "entente.webhook" -}}{{ include "entente.fullname" . }}-webhook{{- end -}}
{{- define "entente.server" -}}{{ include "entente.fullname" . }}{{- end -}}
{{- define "entente.agent" -}}{{ include "entente.fullname" . }}-agent{{- end -}}

{{/* Labels that select the pods of a part: (list . "webhook") */}}
{{- define "entente.selector" -}}
app.kubernetes.io/name: {{ default (index . 0).Chart.Name (index . 0).Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "entente.labels" -}}
{{ include "entente.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: entente
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Reference of an image: (list . .Values.image) */}}
{{- define "entente.image" -}}
{{- $image := index . 1 -}}
{{- $release := default (index . 0).Chart.AppVersion $image.release -}}
{{- $image.repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $release) }}{{ $release -}}
{{- end -}}

{{- define "entente.port" -}}{{ . | splitList ":" | last }}{{- end -}}

{{- define "entente.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "entente.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What schedules pods: (list . "webhook" values-of-the-part) */}}
{{- define "entente.scheduling" -}}
{{- $root := index . 0 }}{{ $part := index . 1 }}{{ $v := index . 2 }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $v.affinity }}
affinity:
  {{- toYaml $v.affinity | nindent 2 }}
{{- else if ne $part "agent" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "entente.selector" (list $root $part) | nindent 14 }}
{{- end }}
{{- if $v.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $v.topologySpreadConstraints | nindent 2 }}
{{- else if ne $part "agent" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "entente.selector" (list $root $part) | nindent 8 }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the service is. */}}
{{- define "entente.serverHost" -}}{{ include "entente.server" . }}.{{ .Release.Namespace }}.svc{{- end -}}
{{- define "entente.publicURL" -}}
{{- if .Values.server.publicURL -}}
{{- .Values.server.publicURL | trimSuffix "/" -}}
{{- else -}}
https://{{ include "entente.serverHost" . }}{{ with int .Values.server.service.port }}{{ if ne . 443 }}:{{ . }}{{ end }}{{ end }}
{{- end -}}
{{- end -}}
{{- define "entente.serverTLS" -}}{{ default (printf "%s-tls" (include "entente.server" .)) .Values.server.tls.secretName }}{{- end -}}
{{- define "entente.sqlite" -}}{{ if not .Values.server.database.secretName }}true{{ end }}{{- end -}}

{{/* The authority that the webhook gives to pods; "" is Azure's. */}}
{{- define "entente.authority" -}}
{{- if .Values.webhook.authority.host -}}
{{- .Values.webhook.authority.host -}}
{{- else if .Values.server.enabled -}}
{{- include "entente.publicURL" . }}/
{{- end -}}
{{- end -}}

{{/* The volume with its CA; "" if it has a public one. */}}
{{- define "entente.authorityCA" -}}
{{- $ca := .Values.webhook.authority.ca -}}
{{- if $ca.configMapName }}
configMap:
  name: {{ $ca.configMapName }}
  items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
{{- else if $ca.secretName }}
secret:
  secretName: {{ $ca.secretName }}
  items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
{{- else if $ca.pem }}
configMap:
  name: {{ include "entente.webhook" . }}-authority-ca
  items: [{key: ca.crt, path: ca.crt}]
{{- else if and (not .Values.webhook.authority.host) .Values.server.enabled .Values.server.tls.privateCA }}
secret:
  secretName: {{ include "entente.serverTLS" . }}
  items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end -}}

{{- define "entente.mode" -}}
{{- default (ternary "adfs" "workload" (ne (include "entente.authority" .) "")) .Values.webhook.mode -}}
{{- end -}}

{{/* What both webhooks of the configuration have. There is no caBundle: the webhook writes it, and who applies this again leaves it as it is. */}}
{{- define "entente.hook" -}}
admissionReviewVersions: [v1]
matchPolicy: Equivalent
clientConfig:
  {{- with .Values.webhook.certificate.caBundle }}
  caBundle: {{ . | b64enc }}
  {{- end }}
  service:
    name: {{ include "entente.webhook" . }}
    namespace: {{ .Release.Namespace }}
    path: /mutate-v1-pod
    port: {{ .Values.service.port }}
{{- $selector := .Values.mutatingWebhookNamespaceSelector }}
namespaceSelector:
  {{- with $selector.matchLabels }}
  matchLabels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: [{{ .Release.Namespace | quote }}]
    {{- with $selector.matchExpressions }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
