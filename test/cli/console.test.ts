import { describe, expect, it } from 'vitest';
import { Console } from '../../src/cli/console.ts';

describe('what a person types', () => {
  const fresh = (): { console: Console; asked: string[]; ask: (question: string) => Promise<string> } => {
    const asked: string[] = [];
    return {
      console: new Console({ color: 'never', quiet: false }, process),
      asked,
      ask: async (question) => `answer ${asked.push(question)} to ${question}`,
    };
  };

  it('is asked once for each question, also by two who ask at the same time', async () => {
    const { console, asked, ask } = fresh();
    const [one, same] = await Promise.all([
      console.secretOnce('Vault password (a)', ask),
      console.secretOnce('Vault password (a)', ask),
    ]);
    const later = await console.secretOnce('Vault password (a)', ask);
    expect([one, same, later].map((secret) => secret.reveal())).toEqual(
      Array(3).fill('answer 1 to Vault password (a)'),
    );
    expect((await console.secretOnce('Vault password (b)', ask)).reveal()).toContain('(b)');
    expect(asked).toEqual(['Vault password (a)', 'Vault password (b)']);
  });

  it('shows nowhere afterwards', async () => {
    const { console, ask } = fresh();
    const typed = await console.secretOnce('Password to log in with', ask);
    expect(console.redactor.mask(`said ${typed.reveal()}`)).toBe('said [secret]');
  });
});
