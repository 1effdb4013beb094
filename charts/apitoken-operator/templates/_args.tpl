{{/* The arguments of the manager. Leader election is always on: during a rollout there are two pods. */}}
{{- define "apitoken-operator.args" -}}
- --leader-elect
{{- with .Values.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- with .Values.clusterIdentity }}
- {{ printf "--cluster-identity=%s" . | quote }}
{{- end }}
- --concurrency={{ int .Values.operator.concurrency }}
- --provider-rate={{ .Values.operator.providerRate }}
- --provider-burst={{ int .Values.operator.providerBurst }}
{{- if .Values.operator.kubeAPIQPS }}
- --kube-api-qps={{ .Values.operator.kubeAPIQPS }}
- --kube-api-burst={{ int .Values.operator.kubeAPIBurst }}
{{- end }}
- --shutdown-timeout={{ .Values.operator.shutdownTimeout }}
- --log-level={{ .Values.operator.logLevel }}
- --log-format={{ .Values.operator.logFormat }}
{{- if .Values.namespaces }}
# Only an operator that reads all namespaces can find orphans. Ten years means never.
- --sweep-interval=87600h
{{- else }}
- --sweep-interval={{ .Values.sweep.interval }}
- --sweep-mode={{ .Values.sweep.mode }}
{{- end }}
{{- if .Values.metrics.enabled }}
- --metrics-bind-address=:{{ .Values.metrics.port }}
{{- if not .Values.metrics.perToken }}
- --metrics-per-token=false
{{- end }}
{{- if not .Values.metrics.auth }}
- --metrics-auth=false
{{- end }}
{{- if not .Values.metrics.secure }}
- --metrics-secure=false
{{- end }}
{{- if include "apitoken-operator.metricsCertSecretName" . }}
- --metrics-cert-dir=/etc/apitoken-operator/metrics
{{- end }}
{{- else }}
- --metrics-bind-address=0
{{- end }}
- --health-probe-bind-address=:8081
{{- with .Values.tracing.endpoint }}
- {{ printf "--tracing-endpoint=%s" . | quote }}
- --tracing-ratio={{ $.Values.tracing.ratio }}
{{- end }}
{{- with .Values.featureGates }}
{{- $gates := list }}
{{- range $gate, $on := . }}
{{- $gates = append $gates (printf "%s=%t" $gate $on) }}
{{- end }}
- --feature-gates={{ join "," $gates }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}
