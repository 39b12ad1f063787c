/** Lint rules of this project that oxlint has no setting for. */
export default {
  meta: { name: 'scoped-cache' },
  rules: {
    'no-current-date': {
      meta: { messages: { useClock: 'Ask the injected Clock (lib/core/clock.ts) for the time.' } },
      create(context) {
        return {
          NewExpression(node) {
            if (node.callee.name === 'Date' && node.arguments.length === 0)
              context.report({ node, messageId: 'useClock' });
          },
        };
      },
    },
  },
};
