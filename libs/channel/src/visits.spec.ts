// Which visits of a tracked link are a person's.
import { isClick } from './visits'

const phone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
const visit = (headers: Record<string, string>, method = 'GET'): boolean => isClick({ method, headers })

describe('a visit of a tracked link', () => {
  it.each([
    phone,
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Mobile Safari/537.36',
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36',
    // KakaoTalk's own browser, in which its buttons open.
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 KAKAOTALK 10.8.0',
    'Mozilla/5.0 (Linux; Android 13; SM-S911N Build/TP1A; wv) AppleWebKit/537.36 Chrome/114.0 Mobile Safari/537.36;KAKAOTALK 2410550',
    // Facebook's apps: their fields alone, in any order, some missing, or behind a browser's.
    '[FBAN/FB4A;FBAV/420.0.0.32.71;FBLC/ko_KR;FBCR/SKTelecom;FBMF/samsung;FBPN/com.facebook.katana;FBDV/SM-S911N;FBSV/13;]',
    '[FBAN/FB4A;FBAV/222.0.0.48.113;FBPN/com.facebook.katana;FBLC/ko_KR;FBBV/155323366;FBCR/SKTelecom;FBMF/samsung;FBBD/samsung;FBDV/SM-G960N;FBSV/9;' +
      'FBCA/arm64-v8a:null;FBDM/{density=3.0,width=1080,height=2076};FB_FW/1;FBRV/156625696;]',
    '[FBAN/FB4A;FBAV/420.0;FBLC/ko_KR;FBCR/SKTelecom]',
    '[FBLC/ko_KR;FBCR/SKTelecom;FBAN/FB4A]',
    '[FBAN/FBIOS;FBAV/420.0;FBBV/1;FBDV/iPhone14,2;FBMD/iPhone;FBSN/iOS;FBSV/16.0;FBSS/3;FBID/phone;FBLC/ko_KR;FBOP/5;FBRV/0]',
    '[FBAN/FBIOS;FBDV/iPhone14,2]',
    '[FBAN/MessengerForiOS;FBAV/1.0;FBLC/ko_KR',
    '[FB_IAB/FB4A;FBAV/420.0.0.32.71;]',
    'Mozilla/5.0 (Linux; Android 13; SM-S911N Build/TP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/114.0 Mobile Safari/537.36 ' +
      '[FB_IAB/FB4A;FBAV/420.0.0.32.71;]',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBLC/ko_KR;FBCR/KT]',
    // An app's browser that names its client behind its engine.
    'Mozilla/5.0 (Linux; Android 13; SM-S911N Build/TP1A; wv) AppleWebKit/537.36 Chrome/114.0 Mobile Safari/537.36 Dalvik/2.1.0',
  ])('by a browser is a click: %s', (userAgent) => expect(visit({ 'user-agent': userAgent })).toBe(true))

  it.each([
    // iMessage's preview.
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0',
    'facebookexternalhit/1.1; kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984',
    'WhatsApp/2.23.20.0',
    'TelegramBot (like TwitterBot)',
    'Mozilla/5.0 (compatible; Google-PageRenderer Google (+https://developers.google.com/+/web/snippet/))',
    'SkypeUriPreview Preview/0.5',
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'curl/8.5.0',
    'node',
    // Apps' own HTTP clients.
    'CFNetwork/1410.0.3 Darwin/22.6.0',
    'Shop/1.0 CFNetwork/1410.0.3 Darwin/22.6.0',
    'com.apple.WebKit.Networking/8614 CFNetwork/1404 Darwin/22.3',
    'Dalvik/2.1.0 (Linux; U; Android 13; SM-S911N Build/TP1A.220624.014)',
    'Dalvik/2.1.0 (Linux; U; Android 13; SM-S911N Build/TP1A.220624.014) [FBAN/FB4A;FBAV/420.0;FBLC/ko_KR;]',
    'okhttp/4.12.0',
    'Shop/3.1 okhttp/4.12.0',
    'Dart/3.4 (dart:io)',
    'Shop/2 (Android 13) Cronet/119.0',
    'facebookexternalhit/1.1 [FBAN/FB4A;FBLC/ko_KR;]',
    '',
    ' ',
  ])('by a preview, a crawler or a script is none: %s', (userAgent) => expect(visit({ 'user-agent': userAgent })).toBe(false))

  it('without a user agent is none', () => expect(visit({})).toBe(false))
  it('that asks for the headers only is none', () => expect(visit({ 'user-agent': phone }, 'HEAD')).toBe(false))
  it.each<Record<string, string>>([
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { purpose: 'prefetch' },
    { 'x-purpose': 'preview' },
    { 'x-moz': 'prefetch' },
  ])('that looks ahead is none: %j', (headers) => expect(visit({ 'user-agent': phone, ...headers })).toBe(false))
})
