{{/* The names that a certificate of the service needs, joined by commas. */}}
{{- define "entente.serverNames" -}}
{{- $names := list (include "entente.server" .) (printf "%s.%s" (include "entente.server" .) .Release.Namespace) (include "entente.serverHost" .) (printf "%s.cluster.local" (include "entente.serverHost" .)) "localhost" "127.0.0.1" -}}
{{- $names = append $names (get (urlParse (include "entente.publicURL" .)) "hostname") -}}
{{- range .Values.server.hosts -}}
{{- $names = append $names (. | splitList "=" | first | splitList ":" | first) -}}
{{- end -}}
{{- $names | uniq | join "," -}}
{{- end -}}

{{/* The seed file, or nothing. */}}
{{- define "entente.seed" -}}
{{- $seed := deepCopy .Values.server.seed -}}
{{- if .Values.azureTenantID -}}
{{- $seed = mergeOverwrite (dict "tenant" (dict "id" .Values.azureTenantID)) $seed -}}
{{- end -}}
{{- with .Values.server.clusterIssuer -}}
{{- if .enabled -}}
{{- $seed = set $seed "issuers" (prepend (default list $seed.issuers) (dict "name" "this-cluster" "issuer" .url "jwksUri" .jwksURI "algorithms" .algorithms)) -}}
{{- end -}}
{{- end -}}
{{- if $seed -}}
{{- toYaml (mergeOverwrite (dict "version" 1) $seed) -}}
{{- end -}}
{{- end -}}

{{- define "entente.issuerAllow" -}}
{{- $allow := .Values.server.issuers.allow -}}
{{- if .Values.server.clusterIssuer.enabled -}}
{{- $allow = append $allow (get (urlParse .Values.server.clusterIssuer.jwksURI) "hostname") -}}
{{- end -}}
{{- $allow | uniq | join "," -}}
{{- end -}}

{{- define "entente.serverPod" -}}
{{- $v := .Values.server }}
{{- $sqlite := include "entente.sqlite" . }}
{{- $seed := include "entente.seed" . }}
{{- $issuerCA := ternary "kube-root-ca.crt" $v.issuers.caConfigMapName $v.clusterIssuer.enabled }}
metadata:
  labels:
    {{- include "entente.labels" (list . "server") | nindent 4 }}
    {{- with $v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- with $v.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    entente.id/seed: {{ sha256sum $seed }}
spec:
  serviceAccountName: {{ include "entente.server" . }}
  automountServiceAccountToken: {{ $v.manageServiceAccounts }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext:
    {{- include "entente.podSecurity" . | nindent 4 }}
  {{- include "entente.scheduling" (list . "server" $v) | nindent 2 }}
  containers:
    - name: entente
      image: {{ include "entente.image" (list . $v.image) }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        - serve
        - --listen=:8443
        - --health-listen=:8081
        - --public-url={{ include "entente.publicURL" . }}
        {{- with $v.issuerURL }}
        - --issuer-url={{ . }}
        {{- end }}
        {{- range $v.hosts }}
        - {{ printf "--host=%s" . | quote }}
        {{- end }}
        - --tls-cert=/etc/entente/tls/tls.crt
        - --tls-key=/etc/entente/tls/tls.key
        - --resources={{ $v.resourceNames }}
        - --log-level={{ $v.logLevel }}
        - --drain=5s
        {{- if $v.keyEncryptionKey.secretName }}
        - --key-encryption-key=/etc/entente/key-encryption-key/key
        {{- end }}
        {{- with $v.bootstrapAdmin }}
        {{- if .issuer }}
        - {{ printf "--bootstrap-admin=%s,%s" .issuer .subject | quote }}
        {{- end }}
        {{- end }}
        {{- if $seed }}
        - --seed=/etc/entente/seed/seed.yaml
        {{- end }}
        {{- range compact (splitList "," (include "entente.issuerAllow" .)) }}
        - {{ printf "--issuer-allow=%s" . | quote }}
        {{- end }}
        {{- if $issuerCA }}
        - --issuer-ca=/etc/entente/issuer-ca/ca.crt
        {{- end }}
        {{- with $v.portalOIDC }}
        {{- if .issuer }}
        - {{ printf "--portal-oidc-issuer=%s" .issuer | quote }}
        - {{ printf "--portal-oidc-client-id=%s" .clientID | quote }}
        {{- if .clientSecret.secretName }}
        - --portal-oidc-client-secret-file=/etc/entente/portal-oidc/client-secret
        {{- end }}
        {{- range .roles }}
        - {{ printf "--portal-oidc-role=%s" . | quote }}
        {{- end }}
        {{- range .scopes }}
        - {{ printf "--portal-oidc-scope=%s" . | quote }}
        {{- end }}
        {{- with .nameClaim }}
        - {{ printf "--portal-oidc-name-claim=%s" . | quote }}
        {{- end }}
        {{- if .caConfigMapName }}
        - --portal-oidc-ca=/etc/entente/portal-oidc-ca/ca.crt
        {{- end }}
        {{- end }}
        {{- end }}
        {{- range $v.trustedProxies }}
        - {{ printf "--trusted-proxies=%s" . | quote }}
        {{- end }}
        {{- range $v.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: ENTENTE_DATA_DIR
          value: /var/lib/entente/data
        {{- if $v.tls.privateCA }}
        # Of the commands that are run in this container.
        - name: ENTENTE_CA
          value: /etc/entente/tls/ca.crt
        {{- end }}
        {{- if not $sqlite }}
        - name: ENTENTE_DB
          valueFrom:
            secretKeyRef:
              name: {{ $v.database.secretName }}
              key: {{ $v.database.key }}
        {{- end }}
        - name: GOMEMLIMIT
          valueFrom:
            resourceFieldRef:
              resource: limits.memory
        {{- with $v.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: https
          containerPort: 8443
        - name: health
          containerPort: 8081
      startupProbe:
        httpGet:
          path: /livez
          port: health
        periodSeconds: 1
        failureThreshold: 120
      readinessProbe:
        httpGet:
          path: /readyz
          port: health
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        httpGet:
          path: /livez
          port: health
        periodSeconds: 20
        timeoutSeconds: 5
        failureThreshold: 6
      {{- with $v.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "entente.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /var/lib/entente
        - name: tmp
          mountPath: /tmp
        - name: tls
          mountPath: /etc/entente/tls
          readOnly: true
        {{- if $v.keyEncryptionKey.secretName }}
        - name: key-encryption-key
          mountPath: /etc/entente/key-encryption-key
          readOnly: true
        {{- end }}
        {{- if $seed }}
        - name: seed
          mountPath: /etc/entente/seed
          readOnly: true
        {{- end }}
        {{- if $issuerCA }}
        - name: issuer-ca
          mountPath: /etc/entente/issuer-ca
          readOnly: true
        {{- end }}
        {{- if $v.portalOIDC.clientSecret.secretName }}
        - name: portal-oidc
          mountPath: /etc/entente/portal-oidc
          readOnly: true
        {{- end }}
        {{- if $v.portalOIDC.caConfigMapName }}
        - name: portal-oidc-ca
          mountPath: /etc/entente/portal-oidc-ca
          readOnly: true
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- if not $sqlite }}
    - name: data
      emptyDir: {}
    {{- else if $v.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ $v.persistence.existingClaim }}
    {{- end }}
    - name: tmp
      emptyDir: {}
    - name: tls
      secret:
        secretName: {{ include "entente.serverTLS" . }}
        defaultMode: 0440
    {{- with $v.keyEncryptionKey }}
    {{- if .secretName }}
    - name: key-encryption-key
      secret:
        secretName: {{ .secretName }}
        defaultMode: 0440
        items: [{key: {{ .key | quote }}, path: key}]
    {{- end }}
    {{- end }}
    {{- if $seed }}
    - name: seed
      configMap:
        name: {{ include "entente.server" . }}-seed
    {{- end }}
    {{- if $issuerCA }}
    - name: issuer-ca
      configMap:
        name: {{ $issuerCA }}
        items: [{key: {{ ternary "ca.crt" $v.issuers.caKey $v.clusterIssuer.enabled | quote }}, path: ca.crt}]
    {{- end }}
    {{- with $v.portalOIDC.clientSecret }}
    {{- if .secretName }}
    - name: portal-oidc
      secret:
        secretName: {{ .secretName }}
        defaultMode: 0440
        items: [{key: {{ .key | quote }}, path: client-secret}]
    {{- end }}
    {{- end }}
    {{- with $v.portalOIDC }}
    {{- if .caConfigMapName }}
    - name: portal-oidc-ca
      configMap:
        name: {{ .caConfigMapName }}
        items: [{key: {{ .caKey | quote }}, path: ca.crt}]
    {{- end }}
    {{- end }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
