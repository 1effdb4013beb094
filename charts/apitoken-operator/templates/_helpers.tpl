{{/* The name of the application. */}}
{{- define "apitoken-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name prefix of all objects: at most 40 characters, so that suffixes fit. */}}
{{- define "apitoken-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "apitoken-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of cluster-scoped objects. With a list of namespaces, several releases can have the same name. */}}
{{- define "apitoken-operator.clusterName" -}}
{{- $name := include "apitoken-operator.fullname" . -}}
{{- if .Values.namespaces -}}
{{- printf "%s-%s" $name .Release.Namespace -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{- define "apitoken-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "apitoken-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "apitoken-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "apitoken-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/part-of: apitoken-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "apitoken-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "apitoken-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The subject of the bindings. */}}
{{- define "apitoken-operator.subjects" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "apitoken-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "apitoken-operator.metricsServiceName" -}}
{{- include "apitoken-operator.fullname" . -}}-metrics
{{- end -}}

{{/* The Secret with the metrics server's certificate; empty if the operator creates its own. */}}
{{- define "apitoken-operator.metricsCertSecretName" -}}
{{- if .Values.metrics.enabled -}}
{{- if .Values.metrics.certSecretName -}}
{{- .Values.metrics.certSecretName -}}
{{- else if .Values.metrics.certificate.enabled -}}
{{- include "apitoken-operator.metricsServiceName" . -}}-cert
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name that Prometheus verifies. */}}
{{- define "apitoken-operator.metricsServerName" -}}
{{- printf "%s.%s.svc" (include "apitoken-operator.metricsServiceName" .) .Release.Namespace -}}
{{- end -}}

{{- define "apitoken-operator.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with (.Values.global).imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Invalid combinations of values fail here, before a pod fails to start. */}}
{{- define "apitoken-operator.check" -}}
{{- if and .Values.namespaces (eq .Values.sweep.mode "Revoke") -}}
{{- fail "sweep.mode: Revoke is not possible with a list of namespaces: to recognize an orphan, the operator must read all namespaces. Leave sweep.mode at Report, or empty namespaces" -}}
{{- end -}}
{{- with .Values.updateStrategy.rollingUpdate -}}
{{- if and (has (toString .maxSurge) (list "0" "0%")) (has (toString .maxUnavailable) (list "0" "0%")) -}}
{{- fail "updateStrategy.rollingUpdate: maxSurge and maxUnavailable cannot both be 0: set one of them to 1" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.metrics.certificate.enabled (not (and .Values.metrics.enabled .Values.metrics.secure)) -}}
{{- fail "metrics.certificate.enabled is true, but metrics.enabled or metrics.secure is false: set both to true, or metrics.certificate.enabled to false" -}}
{{- end -}}
{{- if and .Values.metrics.certificate.enabled (not .Values.metrics.certificate.issuerRef.name) -}}
{{- fail "metrics.certificate.issuerRef.name is empty: name the cert-manager issuer that signs the certificate" -}}
{{- end -}}
{{- $monitor := .Values.metrics.serviceMonitor -}}
{{- if and $monitor.enabled (not $monitor.tlsConfig) $monitor.namespace (ne $monitor.namespace .Release.Namespace) (include "apitoken-operator.metricsCertSecretName" .) -}}
{{- fail "metrics.serviceMonitor.namespace is not the release's, and a ServiceMonitor can read the CA only from a Secret of its own namespace: set metrics.serviceMonitor.tlsConfig with serverName and ca, or leave metrics.serviceMonitor.namespace empty" -}}
{{- end -}}
{{- if and .Values.metrics.certSecretName (not .Values.metrics.secure) -}}
{{- fail "metrics.certSecretName is set, but metrics.secure is false: set metrics.secure to true, or leave metrics.certSecretName empty" -}}
{{- end -}}
{{- if and .Values.metrics.enabled .Values.metrics.auth (not .Values.metrics.secure) -}}
{{- fail "metrics.secure is false, but metrics.auth is true: tokens would be sent in clear. Set metrics.secure to true, or metrics.auth to false as well" -}}
{{- end -}}
{{- if and .Values.rbac.clusterProviderReaders (not .Values.rbac.userRoles) -}}
{{- fail "rbac.clusterProviderReaders is set, but rbac.userRoles is false, and the role that the readers get is not made: set rbac.userRoles to true, or leave rbac.clusterProviderReaders empty" -}}
{{- end -}}
{{- if and .Values.metrics.readers (not (and .Values.metrics.auth .Values.rbac.userRoles)) -}}
{{- fail "metrics.readers is set, but metrics.auth or rbac.userRoles is false, and the role that the readers get is not made: set both to true, or leave metrics.readers empty" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled is true, but metrics.enabled is false: set metrics.enabled to true, or metrics.serviceMonitor.enabled to false" -}}
{{- end -}}
{{- end -}}
