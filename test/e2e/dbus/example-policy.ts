/** A policy for an operator, and the services that it is tried on. */
export const THERMOSTAT = 'org.example.Thermostat';
export const ADMIN = 'org.example.Admin';
export const LOCK = 'org.example.Lock';
export const VAULT = 'com.hidden.Vault';
export const SERVICES = [THERMOSTAT, ADMIN, LOCK, VAULT];
/** An object of the admin's that may be asked for its status. */
export const OBJECT = '/org/example/admin';

export const POLICY = {
  see: ['org.example.*'],
  talk: [THERMOSTAT],
  own: ['org.example.Operator'],
  call: { [ADMIN]: [`${ADMIN}.Status@/org/example/*`] },
  broadcast: { [ADMIN]: [`${ADMIN}.Changed`] },
};

const ERROR = 'org.freedesktop.DBus.Error';
export const DENIED = `${ERROR}.AccessDenied`;
export const UNKNOWN = `${ERROR}.ServiceUnknown`;
export const NO_OWNER = `${ERROR}.NameHasNoOwner`;
