{{- /* A job of it may have 52 characters. */ -}}
{{- define "modelyard.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 45 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 45 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "modelyard.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modelyard.labels" -}}
{{ include "modelyard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "modelyard.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "modelyard.name" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end -}}
{{- end }}

{{- /* "true" where anything lies on the volume: SQLite, or blobs in a folder. */ -}}
{{- define "modelyard.hasVolume" -}}
{{- if or (not .Values.database.existingSecret) (not .Values.blobs.url) }}true{{ end -}}
{{- end }}

{{- define "modelyard.claim" -}}
{{- default (printf "%s-data" (include "modelyard.name" .)) .Values.persistence.existingClaim -}}
{{- end }}

{{- define "modelyard.externalUrl" -}}
{{- if .Values.externalUrl }}{{ .Values.externalUrl }}{{ else if .Values.ingress.enabled }}{{ ternary "https" "http" (ne .Values.ingress.tlsSecret "") }}://{{ .Values.ingress.host }}{{ end -}}
{{- end }}

{{- /* "true" where it is said whose X-Forwarded-For is believed, in whatever way. */ -}}
{{- define "modelyard.trustedProxies" -}}
{{- if .Values.settings.MODELYARD_TRUSTED_PROXIES }}true{{ end -}}
{{- range .Values.extraEnv }}{{ if and (eq .name "MODELYARD_TRUSTED_PROXIES") (or .value .valueFrom) }}true{{ end }}{{ end -}}
{{- end }}

{{- /* What a schema cannot say. */ -}}
{{- define "modelyard.validate" -}}
{{- if gt (int .Values.replicas) 1 }}
{{- if not .Values.database.existingSecret }}{{ fail "replicas: more than one needs PostgreSQL: set database.existingSecret" }}{{ end }}
{{- if and (not .Values.blobs.url) (not .Values.persistence.existingClaim) (not (has "ReadWriteMany" .Values.persistence.accessModes)) }}{{ fail "replicas: more than one needs a bucket (blobs.url), or a volume that is ReadWriteMany" }}{{ end }}
{{- end }}
{{- if and .Values.database.existingSecret (not .Values.rootToken.existingSecret) }}{{ fail "database: with PostgreSQL, the administrator's token must exist: set rootToken.existingSecret" }}{{ end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}{{ fail "ingress.host: is needed" }}{{ end }}
{{- if and .Values.ingress.enabled (not (include "modelyard.trustedProxies" .)) }}{{ fail "ingress: without the addresses of its pods all clients are one, whom one of them can use up the limits of: set settings.MODELYARD_TRUSTED_PROXIES, such as 10.0.0.0/8" }}{{ end }}
{{- end }}

{{- define "modelyard.environment" -}}
- name: MODELYARD_SHUTDOWN_DELAY
  value: {{ .Values.shutdown.delay | quote }}
- name: MODELYARD_SHUTDOWN_TIMEOUT
  value: {{ .Values.shutdown.timeout | quote }}
{{- with include "modelyard.externalUrl" . }}
- name: MODELYARD_EXTERNAL_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.rootToken }}
{{- if .existingSecret }}
- name: MODELYARD_ROOT_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- with .Values.database }}
{{- if .existingSecret }}
- name: MODELYARD_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- if .Values.blobs.url }}
- name: MODELYARD_BLOB_URL
  value: {{ .Values.blobs.url | quote }}
- name: MODELYARD_S3_ADDRESSING
  value: {{ .Values.blobs.s3.addressing | quote }}
- name: MODELYARD_S3_REDIRECT
  value: {{ .Values.blobs.s3.redirect | quote }}
{{- with .Values.blobs.s3 }}
{{- if .endpoint }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ .endpoint | quote }}
{{- end }}
{{- if .region }}
- name: AWS_REGION
  value: {{ .region | quote }}
{{- end }}
{{- if .existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .accessKeyIdKey | quote }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .secretAccessKeyKey | quote }}}}
{{- end }}
{{- end }}
{{- with .Values.blobs.secretKey }}
{{- if .existingSecret }}
- name: MODELYARD_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What every pod has, whatever it does. */ -}}
{{- define "modelyard.podBasics" -}}
serviceAccountName: {{ include "modelyard.serviceAccount" . }}
automountServiceAccountToken: false
# Or a service called modelyard would set MODELYARD_PORT.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {}
  - name: data
    {{- if include "modelyard.hasVolume" . }}
    persistentVolumeClaim:
      claimName: {{ include "modelyard.claim" . }}
    {{- else }}
    emptyDir: {}
    {{- end }}
{{- end }}

{{- define "modelyard.containerBasics" -}}
image: "{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
env: {{- include "modelyard.environment" . | nindent 2 }}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: data
    mountPath: /data
{{- end }}
