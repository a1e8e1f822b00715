{{- define "freshslate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "freshslate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "freshslate.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "freshslate.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "freshslate.selector" -}}
app.kubernetes.io/name: {{ include "freshslate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "freshslate.labels" -}}
{{ include "freshslate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "freshslate.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "freshslate.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "freshslate.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* A setting as the environment has it: whole numbers without an exponent, true and false in lower case. */}}
{{- define "freshslate.value" -}}
{{- if kindIs "float64" . }}{{ if eq . (floor .) }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end }}
{{- else }}{{ . }}{{ end }}
{{- end }}

{{/* Settings of every process. */}}
{{- define "freshslate.env" -}}
- name: FRESHSLATE_BROKER
  value: {{ required "kafka.bootstrap is needed: the brokers, host:port, comma separated" .Values.kafka.bootstrap | quote }}
- name: FRESHSLATE_WORKER_HOST
  value: 0.0.0.0
{{- with .Values.kafka }}
{{- if ne .securityProtocol "PLAINTEXT" }}
- name: FRESHSLATE_KAFKA_SECURITY_PROTOCOL
  value: {{ .securityProtocol }}
{{- end }}
{{- if hasSuffix "SSL" .securityProtocol }}
{{- if .tls.caSecret }}
- name: FRESHSLATE_KAFKA_CA_FILE
  value: /etc/freshslate-kafka/ca.crt
{{- end }}
{{- if .tls.clientSecret }}
- name: FRESHSLATE_KAFKA_CERT_FILE
  value: /etc/freshslate-kafka/tls.crt
- name: FRESHSLATE_KAFKA_KEY_FILE
  value: /etc/freshslate-kafka/tls.key
{{- end }}
{{- if not .tls.checkHostname }}
- name: FRESHSLATE_KAFKA_CHECK_HOSTNAME
  value: "false"
{{- end }}
{{- end }}
{{- if hasPrefix "SASL" .securityProtocol }}
- name: FRESHSLATE_KAFKA_SASL_MECHANISM
  value: {{ required "kafka.sasl.mechanism is needed with SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512" .sasl.mechanism }}
- name: FRESHSLATE_KAFKA_SASL_USERNAME
  value: {{ required "kafka.sasl.username is needed with SASL" .sasl.username | quote }}
- name: FRESHSLATE_KAFKA_SASL_PASSWORD_FILE
  value: /etc/freshslate-kafka/password
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: FRESHSLATE_{{ upper $name }}
  value: {{ include "freshslate.value" $value | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Whether there is anything to mount of what says who we are. */}}
{{- define "freshslate.hasKafkaFiles" -}}
{{- $tls := and (hasSuffix "SSL" .Values.kafka.securityProtocol) (or .Values.kafka.tls.caSecret .Values.kafka.tls.clientSecret) }}
{{- if or $tls (hasPrefix "SASL" .Values.kafka.securityProtocol) }}true{{ end }}
{{- end }}

{{- define "freshslate.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if include "freshslate.hasKafkaFiles" . }}
- name: kafka
  mountPath: /etc/freshslate-kafka
  readOnly: true
{{- end }}
{{- if .Values.files }}
- name: files
  mountPath: /etc/freshslate
  readOnly: true
{{- end }}
{{- end }}

{{- define "freshslate.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- if include "freshslate.hasKafkaFiles" . }}
- name: kafka
  projected:
    defaultMode: 0440
    sources:
    {{- with .Values.kafka }}
    {{- if hasSuffix "SSL" .securityProtocol }}
    {{- if .tls.caSecret }}
    - secret:
        name: {{ .tls.caSecret }}
        items: [{key: {{ .tls.caKey | quote }}, path: ca.crt}]
    {{- end }}
    {{- if .tls.clientSecret }}
    - secret:
        name: {{ .tls.clientSecret }}
        items: [{key: {{ .tls.certKey | quote }}, path: tls.crt}, {key: {{ .tls.keyKey | quote }}, path: tls.key}]
    {{- end }}
    {{- end }}
    {{- if hasPrefix "SASL" .securityProtocol }}
    - secret:
        name: {{ required "kafka.sasl.passwordSecret is needed with SASL: the name of a secret" .sasl.passwordSecret }}
        items: [{key: {{ .sasl.passwordKey | quote }}, path: password}]
    {{- end }}
    {{- end }}
{{- end }}
{{- if .Values.files }}
- name: files
  configMap:
    name: {{ include "freshslate.fullname" . }}-files
{{- end }}
{{- end }}

{{/* Of a pod: nobody's rights, and none of Kubernetes' own environment, whose FRESHSLATE_* are not settings. */}}
{{- define "freshslate.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "freshslate.container" -}}
image: {{ include "freshslate.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Where pods may run. */}}
{{- define "freshslate.placement" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with index $ $key }}
{{ $key }}:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Over nodes as far as possible, where nothing else is asked for: own, component, root. */}}
{{- define "freshslate.spread" -}}
{{- if .own }}
{{- toYaml .own }}
{{- else -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "freshslate.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end }}
{{- end }}
