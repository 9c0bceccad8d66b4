// The calls that the API publishes and that exist by now.

/** Method and path, path parameters left out. */
export const published = [
  'GET /v1/templates', 'POST /v1/templates', 'GET /v1/templates/{}', 'PUT /v1/templates/{}', 'GET /v1/templates/{}/versions',
  'POST /v1/templates/{}/approve', 'POST /v1/templates/{}/archive', 'POST /v1/templates/{}/unarchive', 'POST /v1/templates/{}/preview',
  'POST /v1/sends', 'GET /v1/sends/{}', 'POST /v1/sends/{}/cancel',
  'PUT /v1/users/{}', 'GET /v1/users/{}', 'DELETE /v1/users/{}', 'PUT /v1/users/{}/devices/{}', 'DELETE /v1/users/{}/devices/{}',
  'PUT /v1/users/{}/preferences',
  'GET /v1/feed', 'GET /v1/feed/unread-count', 'GET /v1/feed/stream', 'POST /v1/feed/{}/delivered', 'POST /v1/feed/{}/viewed',
  'POST /v1/feed/{}/clicked', 'DELETE /v1/feed/{}', 'POST /v1/push/{}/delivered', 'POST /v1/push/{}/clicked',
  'GET /v1/sequences', 'GET /v1/sequences/{}', 'POST /v1/sequences/{}/cancel',
  'GET /v1/metrics/templates/{}', 'GET /v1/metrics/campaigns/{}', 'GET /v1/metrics/sends/{}', 'GET /v1/metrics/overview',
  'POST /v1/workspaces', 'GET /v1/workspace', 'PUT /v1/workspace', 'POST /v1/workspace/api-keys', 'GET /v1/workspace/api-keys',
  'DELETE /v1/workspace/api-keys/{}', 'POST /v1/workspace/signing-keys', 'GET /v1/workspace/signing-keys',
  'DELETE /v1/workspace/signing-keys/{}',
  'GET /v1/workspace/providers', 'DELETE /v1/workspace/providers/{}',
  ...['fcm', 'apns', 'twilio', 'solapi'].map((provider) => `PUT /v1/workspace/providers/${provider}`),
  ...['push', 'sms', 'kakao'].flatMap((channel) => [`GET /v1/${channel}/unknown`, `POST /v1/${channel}/unknown/{}/{}`]),
]
