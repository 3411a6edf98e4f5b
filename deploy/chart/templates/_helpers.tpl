{{/* With "-archive" behind it, it has the 52 characters that the name of a CronJob may have. */}}
{{- define "scrip.name" -}}
{{- if contains "scrip" .Release.Name }}{{ .Release.Name | trunc 44 | trimSuffix "-" }}{{ else }}{{ printf "%s-scrip" .Release.Name | trunc 44 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "scrip.selector" -}}
app.kubernetes.io/name: scrip
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "scrip.labels" -}}
{{ include "scrip.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "scrip.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "scrip.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "scrip.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "scrip.cluster" -}}
{{ include "scrip.name" . }}-db
{{- end }}

{{- define "scrip.policyConfigMap" -}}
{{ .Values.policy.existingConfigMap | default (printf "%s-policy" (include "scrip.name" .)) }}
{{- end }}

{{- define "scrip.tlsSecret" -}}
{{ .Values.transport.secret | default (printf "%s-tls" (include "scrip.name" .)) }}
{{- end }}

{{/*
Jobs are hooks, which a rollback does not run again. Not so at the installation, where the database is part of the release: it
is made after hooks ran.
*/}}
{{- define "scrip.areHooks" -}}
{{- if or .Release.IsUpgrade (not .Values.database.cluster.enabled) }}true{{ end }}
{{- end }}

{{- define "scrip.hook" -}}
{{- if include "scrip.areHooks" .root }}
"helm.sh/hook": pre-install,pre-upgrade
"helm.sh/hook-weight": {{ .weight | quote }}
"helm.sh/hook-delete-policy": before-hook-creation,hook-succeeded
{{- end }}
{{- end }}

{{/* The name of a job that is no hook has the revision: what a Job does cannot be changed. */}}
{{- define "scrip.jobName" -}}
{{ include "scrip.name" .root }}-{{ .job }}{{ if not (include "scrip.areHooks" .root) }}-{{ .root.Release.Revision }}{{ end }}
{{- end }}

{{- define "scrip.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "scrip.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* CELLS_FILE. The files that it names hold the URLs of the pod's login: owners, archivers, or the service. */}}
{{- define "scrip.cellsFile" -}}
cells:
  {{- range .Values.cells }}
  - name: {{ .name | quote }}
    database_url_file: /etc/scrip/cell-urls/{{ .name }}
    {{- with .schema }}
    schema: {{ . | quote }}
    {{- end }}
    {{- if .citus }}
    citus: true
    {{- end }}
  {{- end }}
{{- end }}

{{/* Whether the operator's secret has the URL, which is that of the owner. All may work as the owner. */}}
{{- define "scrip.isOperatorsUrl" -}}
{{- $database := .root.Values.database }}
{{- if and $database.cluster.enabled (or (eq .as "owner") (not $database.secret.name)) }}true{{ end }}
{{- end }}

{{/* The database as its `owner`, `archiver` or `service`. The operator's secret has a URL without parameters. */}}
{{- define "scrip.databaseEnv" -}}
{{- if .root.Values.cells }}
- name: CELLS_FILE
  value: /etc/scrip/cells/cells.yaml
{{- else if include "scrip.isOperatorsUrl" . }}
- name: DATABASE_URI
  valueFrom: { secretKeyRef: { name: {{ include "scrip.cluster" .root }}-app, key: uri } }
- name: DATABASE_URL
  value: $(DATABASE_URI)?sslmode=verify-full&sslrootcert=/etc/scrip/cluster-ca/ca.crt
{{- else }}
- name: DATABASE_URL_FILE
  value: /etc/scrip/database/url
{{- end }}
{{- end }}

{{- define "scrip.databaseMounts" -}}
{{- $database := .root.Values.database }}
{{- if .root.Values.cells }}
- { name: cells, mountPath: /etc/scrip/cells, readOnly: true }
- { name: cell-urls, mountPath: /etc/scrip/cell-urls, readOnly: true }
{{- else if include "scrip.isOperatorsUrl" . }}
- { name: cluster-ca, mountPath: /etc/scrip/cluster-ca, readOnly: true }
{{- else }}
- { name: database, mountPath: /etc/scrip/database, readOnly: true }
{{- end }}
{{- if $database.ca.secret }}
- { name: database-ca, mountPath: /etc/scrip/database-ca, readOnly: true }
{{- end }}
{{- end }}

{{- define "scrip.databaseVolumes" -}}
{{- $database := .root.Values.database }}
{{- if .root.Values.cells }}
- name: cells
  configMap: { name: {{ .cells }} }
- name: cell-urls
  projected:
    defaultMode: 0440
    sources:
      {{- $key := printf "%sKey" .as }}
      {{- range .root.Values.cells }}
      - secret: { name: {{ .secret }}, items: [{ key: {{ get . $key | default (get $database.secret $key) }}, path: {{ .name }} }] }
      {{- end }}
{{- else if include "scrip.isOperatorsUrl" . }}
- name: cluster-ca
  secret: { secretName: {{ include "scrip.cluster" .root }}-ca, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] }
{{- else }}
- name: database
  secret:
    secretName: {{ $database.secret.name }}
    defaultMode: 0440
    items: [{ key: {{ get $database.secret (printf "%sKey" .as) }}, path: url }]
{{- end }}
{{- if $database.ca.secret }}
- name: database-ca
  secret: { secretName: {{ $database.ca.secret }}, defaultMode: 0440, items: [{ key: {{ $database.ca.key }}, path: {{ $database.ca.key }} }] }
{{- end }}
{{- end }}

{{/* A pod that runs one command, as the owner of the database unless `as` says otherwise. `archive`: it may "read" or "write" the files. */}}
{{- define "scrip.jobPod" -}}
{{- $as := .as | default "owner" -}}
{{- $archive := and .archive .root.Values.archive.volume -}}
metadata:
  labels:
    {{- include "scrip.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .job }}
spec:
  restartPolicy: {{ .restartPolicy | default "OnFailure" }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets: {{ toJson . }}
  {{- end }}
  securityContext: {{- include "scrip.podSecurity" .root | nindent 4 }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector: {{ toJson . }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations: {{ toJson . }}
  {{- end }}
  containers:
    - name: {{ .job }}
      image: {{ include "scrip.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      env:
        {{- include "scrip.databaseEnv" (dict "root" .root "as" $as) | nindent 8 }}
        {{- if .withPlans }}
        - { name: PLANS_DIRECTORY, value: /etc/scrip/plans }
        {{- end }}
        {{- if $archive }}
        - { name: ARCHIVE_DIRECTORY, value: /var/lib/scrip/archive }
        {{- end }}
      resources: {{- toYaml .root.Values.jobResources | nindent 8 }}
      securityContext: {{- include "scrip.containerSecurity" .root | nindent 8 }}
      volumeMounts:
        {{- include "scrip.databaseMounts" (dict "root" .root "as" $as) | nindent 8 }}
        {{- if .withPlans }}
        - { name: plans, mountPath: /etc/scrip/plans, readOnly: true }
        {{- end }}
        {{- if $archive }}
        - { name: archive, mountPath: /var/lib/scrip/archive{{ if eq .archive "read" }}, readOnly: true{{ end }} }
        {{- end }}
  volumes:
    {{- include "scrip.databaseVolumes" (dict "root" .root "as" $as "cells" .cells) | nindent 4 }}
    {{- if .withPlans }}
    - name: plans
      configMap: { name: {{ .withPlans }} }
    {{- end }}
    {{- if $archive }}
    - name: archive
      {{- toYaml .root.Values.archive.volume | nindent 6 }}
    {{- end }}
{{- end }}
