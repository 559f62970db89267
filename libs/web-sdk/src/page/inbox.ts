/** The inbox page: a login, and the inbox of whoever is logged in. */
import { byId } from './dom.js';
import { InboxApp } from './inbox-app.js';
import { LoginForm } from './login-form.js';
import { Toast } from './toast.js';

const app = new InboxApp(new Toast());
const login = new LoginForm(({ client, name }) => {
  byId('account-name').textContent = name;
  byId('account').hidden = false;
  app.open(client);
});
byId('sign-out').addEventListener('click', () => {
  app.close();
  byId('account').hidden = true;
  login.forget();
});
void login.start();
